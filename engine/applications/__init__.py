"""Well-known image networks with Keras's architectures, names and published weights (`keras.applications`)."""

from engine.applications import densenet as densenet
from engine.applications import imagenet_utils as imagenet_utils
from engine.applications import inception_v3 as inception_v3
from engine.applications import mobilenet as mobilenet
from engine.applications import mobilenet_v2 as mobilenet_v2
from engine.applications import resnet as resnet
from engine.applications import resnet50 as resnet50
from engine.applications import resnet_v2 as resnet_v2
from engine.applications import vgg16 as vgg16
from engine.applications import vgg19 as vgg19
from engine.applications import xception as xception
from engine.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from engine.applications.inception_v3 import InceptionV3
from engine.applications.mobilenet import MobileNet
from engine.applications.mobilenet_v2 import MobileNetV2
from engine.applications.resnet import ResNet50, ResNet101, ResNet152
from engine.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from engine.applications.vgg import VGG16, VGG19
from engine.applications.xception import Xception

__all__ = [
    "VGG16",
    "VGG19",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "Xception",
]

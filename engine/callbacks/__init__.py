"""Callbacks (`keras.callbacks`): what happens at epochs and batches beside training itself."""

from engine.callbacks.callback import Callback, LambdaCallback
from engine.callbacks.callback_list import CallbackList
from engine.callbacks.checkpoint import ModelCheckpoint
from engine.callbacks.csv_logger import CSVLogger
from engine.callbacks.early_stopping import EarlyStopping
from engine.callbacks.history import History
from engine.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from engine.callbacks.progress import ProgbarLogger
from engine.callbacks.terminate_on_nan import TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]

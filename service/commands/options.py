"""What commands share: the flags of the settings, and settings, repository and logging made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from service.settings import SETTINGS, Setting, Settings, SettingsError

if TYPE_CHECKING:
    from service.repository import ModelRepository

Command = TypeVar("Command", bound=Callable[..., Any])

MODELS = {"model_repository", "models", "default_model"}
LOGGING = {"log_level", "log_format"}


class _SettingType(click.ParamType):
    """Checks a flag as the table of settings says."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.name = setting.metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.setting.parse(value)
        except SettingsError as error:
            raise click.UsageError(str(error), ctx) from error


def settings_options(names: set[str]) -> Callable[[Command], Command]:
    """Give a command the flags of these settings, in the order of the table."""

    def decorate(command: Command) -> Command:
        for setting in reversed(SETTINGS):
            if setting.name in names:
                variables = ", ".join(setting.environ)
                default = setting.default_text or "none"
                command = click.option(
                    setting.flag,
                    setting.name,
                    type=_SettingType(setting),
                    metavar=setting.metavar,
                    help=f"{setting.help}  [{variables}; default: {default}]",
                )(command)
        return command

    return decorate


def load_settings(flags: dict[str, Any]) -> Settings:
    """Settings from flags and environment; click.UsageError for values that cannot be."""
    try:
        return Settings.load(os.environ, **flags)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def load_queue_settings(flags: dict[str, Any]) -> Settings:
    """Settings of a command that goes to the queue; nothing is connected yet."""
    from service.broker import connect

    settings = load_settings(flags)
    try:
        connect(settings.connection_url)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return settings


def load_repository(settings: Settings) -> ModelRepository:
    """The repository that the settings name; click.ClickException where it is wrong."""
    from service.images import require_steps
    from service.repository import ModelRepository, RepositoryError

    try:
        repository = ModelRepository(
            settings.model_repository, models=settings.models, default_model=settings.default_model
        )
        require_steps(repository)
    except RepositoryError as error:
        raise click.ClickException(str(error)) from error
    return repository


def configure_logging(settings: Settings) -> None:
    """Logs as the settings say."""
    from service import telemetry

    telemetry.configure_logging(settings.log_level, settings.log_format)

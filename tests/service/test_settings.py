"""Settings: where values come from, what is refused, and that the table says all."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from service.settings import SETTINGS, Settings, SettingsError


def test_the_table_has_one_row_per_field_in_order() -> None:
    assert [setting.name for setting in SETTINGS] == [field.name for field in dataclasses.fields(Settings)]
    assert all(setting.help and setting.environ[0] == f"BEAGLE_{setting.name.upper()}" for setting in SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_default_is_allowed_and_survives_being_written(setting: Any) -> None:
    assert setting.parse(setting.default_text) == setting.default


def test_flags_win_over_variables_and_variables_over_defaults() -> None:
    environ = {"BEAGLE_PORT": "81", "BEAGLE_HOST": "::1"}
    settings = Settings.load(environ, port=82, host=None)
    assert (settings.port, settings.host, settings.workers) == (82, "::1", 1)


def test_redis_url_is_also_read_from_the_usual_variable_but_its_own_wins() -> None:
    both = {"REDIS_URL": "redis://usual", "BEAGLE_REDIS_URL": "redis://own"}
    assert Settings.load(both).redis_url == "redis://own"
    assert Settings.load({"REDIS_URL": "redis://usual"}).connection_url == "redis://usual"
    assert Settings.load({"REDIS_URL": ""}).connection_url == "redis://localhost:6379/0"


def test_sizes_take_units() -> None:
    assert Settings.load({"BEAGLE_MAX_IMAGE_BYTES": "2 MiB"}).max_image_bytes == 2 * 1024 * 1024
    assert Settings.load({}, max_image_bytes="1500").max_image_bytes == 1500


def test_several_urls_with_commas_of_their_own_are_one_setting() -> None:
    url = "redis+sentinel://a:1,b:2/main,redis://c"
    assert Settings.load({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "65536"),
        ("port", "five"),
        ("port", 5.5),
        ("port", True),
        ("host", ""),
        ("web_processes", 0),
        ("redis_url", "http://localhost"),
        ("redis_url", "redis://a,b"),
        ("models", "digits/one"),
        ("models", "../digits"),
        ("default_model", "digits/1"),
        ("max_pixels", 0),
        ("max_image_bytes", "16 apples"),
        ("deadline_s", "nan"),
        ("deadline_s", 0),
        ("deadline_s", 3601),
        ("worker_class", "sync"),
        ("log_format", "xml"),
    ],
)
def test_wrong_values_are_refused_by_name_with_what_was_expected_and_given(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, **{name: value})
    flag = "--" + name.replace("_", "-")
    assert str(caught.value).startswith(f"{flag}: expected ")
    assert str(caught.value).endswith(f"got {value!r}")


def test_a_wrong_variable_is_named_as_the_variable() -> None:
    with pytest.raises(SettingsError, match=r"^BEAGLE_WORKERS: expected a whole number"):
        Settings.load({"BEAGLE_WORKERS": "-1"})


def test_an_unknown_flag_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="colour"):
        Settings.load({}, colour="red")


def test_settings_travel_to_child_processes_through_the_environment(tmp_path: Path) -> None:
    settings = Settings.load(
        {}, port=0, models="a,b/2", deadline_s=1.5, model_repository=tmp_path, redis_url="unix:///x"
    )
    assert Settings.load(settings.to_environ()) == settings
    assert Settings.load(Settings().to_environ()) == Settings()


def test_changes_are_checked_like_flags() -> None:
    assert Settings().replace(port="80").port == 80
    with pytest.raises(SettingsError):
        Settings().replace(port=-1)

"""Profiles of AWS: ``~/.aws/credentials`` and ``~/.aws/config``, as its own programs write them."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vqi.errors import VqiError, unknown
from vqi.system.os_errors import explain

PROFILE = "AWS_PROFILE"
CREDENTIALS_FILE, CONFIG_FILE = "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"
DEFAULT = "default"

_OTHER_WAYS = ("sso_session", "sso_start_url", "credential_process", "source_profile", "credential_source")


class Profile(NamedTuple):
    """What a profile says, '' for what it does not."""

    name: str
    access: str
    secret: str
    token: str
    region: str
    role: str
    role_session: str
    identity_file: str  # of a web identity
    other_way: str  # the setting of a way to a key that only the programs of AWS go


def profile_files(environment: Mapping[str, str]) -> dict[str, Path]:
    """The two files by the variable that names them; they need not exist."""
    home = Path(environment.get("HOME") or "~").expanduser()
    named = {CREDENTIALS_FILE: home / ".aws/credentials", CONFIG_FILE: home / ".aws/config"}
    return {
        name: Path(environment[name]).expanduser() if environment.get(name) else usual for name, usual in named.items()
    }


def read_profile(environment: Mapping[str, str]) -> Profile | None:
    """The profile that ``AWS_PROFILE`` names; without it the one called ``default``, where there is one.

    Raises:
        VqiError: There is no such profile, or a file of them cannot be read.
    """
    files = profile_files(environment)
    credentials, config = _read(files[CREDENTIALS_FILE]), _read(files[CONFIG_FILE])
    sections = {name.removeprefix("profile ").strip(): dict(config[name]) for name in config.sections()}
    for name in credentials.sections():
        sections[name] = {**sections.get(name, {}), **credentials[name]}
    name = environment.get(PROFILE) or DEFAULT
    if name not in sections:
        if not environment.get(PROFILE):
            return None
        places = " and ".join(str(file) for file in files.values())
        raise VqiError(f"{unknown('AWS profile', name, sections)} ({PROFILE}; profiles are in {places})")
    return _profile(name, sections[name])


def _profile(name: str, values: Mapping[str, str]) -> Profile:
    return Profile(
        name,
        access=values.get("aws_access_key_id", ""),
        secret=values.get("aws_secret_access_key", ""),
        token=values.get("aws_session_token", ""),
        region=values.get("region", ""),
        role=values.get("role_arn", ""),
        role_session=values.get("role_session_name", ""),
        identity_file=values.get("web_identity_token_file", ""),
        other_way=next((way for way in _OTHER_WAYS if values.get(way)), ""),
    )


def _read(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        if path.is_file():
            parser.read_string(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise VqiError(f"cannot read the AWS profiles: {explain(error, path)}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise VqiError(f"{path} is not a file of AWS profiles: expected [name] and lines of key = value") from error
    return parser

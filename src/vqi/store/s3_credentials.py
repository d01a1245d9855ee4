"""Where the key of an S3 server comes from: one chain for both clients, in the order of AWS's own programs.

Variables, a profile, a web identity (a service account of EKS), the pod's or the instance's own role. Which one it is
follows from the environment alone, so that a refusal names the reason of that one.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import ParseError

from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider, StaticProvider, WebIdentityProvider
from urllib3.exceptions import HTTPError

from vqi.errors import UnavailableError, VqiError
from vqi.store.s3_connections import METADATA, STORE, connections
from vqi.store.s3_errors import NotS3Error, root_cause
from vqi.store.s3_profiles import PROFILE, Profile, read_profile
from vqi.store.s3_settings import Server, address, check_secret, missing
from vqi.system.os_errors import explain

ACCESS, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
IDENTITY_FILE, ROLE, ROLE_SESSION = "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"
TOKEN_SERVICE = "AWS_ENDPOINT_URL_STS"  # noqa: S105 - the name of a variable
CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
CONTAINER_TOKENS = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
INSTANCE, NO_INSTANCE = "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_DISABLED"

_QUERY = re.compile(r"\?\S*")  # of an address: a web identity stands in it


class Keys(Provider):
    """The key in use now. May be asked from several threads; refuses in one line that names where it asked."""

    def __init__(self, source: Provider, what: str) -> None:
        self._source, self._what, self._lock = source, what, threading.Lock()

    def retrieve(self) -> Credentials:
        """The key; a temporary one is renewed before it ends.

        Raises:
            VqiError: There is none; UnavailableError where asking again may help.
        """
        with self._lock:
            try:
                return self._source.retrieve()
            except HTTPError as error:
                raise UnavailableError(f"{self._refusal}: {_QUERY.sub('', root_cause(error))}") from error
            except OSError as error:
                raise VqiError(f"{self._refusal}: {explain(error)}") from error
            except (ValueError, LookupError, TypeError, AttributeError, ParseError, NotS3Error) as error:
                said = " ".join(_QUERY.sub("", str(error)).split())[:200]
                raise VqiError(f"{self._refusal}: {said or type(error).__name__}") from error

    @property
    def _refusal(self) -> str:
        return f"no key for the object store from {self._what}"


def profile_in_use(environment: Mapping[str, str] = os.environ) -> Profile | None:
    """The profile that is chosen by name, or that is the default where the variables have no key."""
    chosen = environment.get(PROFILE) or not (environment.get(ACCESS) or environment.get(SECRET))
    return read_profile(environment) if chosen else None


def keys_of(server: Server, profile: Profile | None, environment: Mapping[str, str] = os.environ) -> Keys:
    """Where the environment says that the key is. Nothing is asked yet.

    Raises:
        VqiError: It says so by half, or in a way that is not known here.
    """
    if environment.get(ACCESS) or environment.get(SECRET) or environment.get(TOKEN):
        return _of_variables(environment)
    if environment.get(IDENTITY_FILE) and not environment.get(PROFILE):
        role, session = environment.get(ROLE, ""), environment.get(ROLE_SESSION, "")
        return _of_identity(server, environment[IDENTITY_FILE], role, session, environment)
    if profile and (profile.access or profile.secret):
        return _of_profile(profile)
    if profile and profile.identity_file:
        return _of_identity(server, profile.identity_file, profile.role, profile.role_session, environment)
    if profile and profile.other_way:
        command = f'eval "$(aws configure export-credentials --profile {profile.name} --format env)"'
        raise VqiError(f"the AWS profile '{profile.name}' has {profile.other_way}, unknown here: first run {command}")
    if profile and environment.get(PROFILE):
        raise VqiError(f"the AWS profile '{profile.name}' has no key: add aws_access_key_id and aws_secret_access_key")
    return _of_place(server, environment)


def _of_variables(environment: Mapping[str, str]) -> Keys:
    values = {name: environment.get(name, "") for name in (ACCESS, SECRET, TOKEN)}
    for name, what in ((ACCESS, "the access key"), (SECRET, "the secret key")):
        if not values[name]:
            raise missing(name, what)
    for name, value in values.items():
        check_secret(name, value)
    return Keys(StaticProvider(values[ACCESS], values[SECRET], values[TOKEN] or None), "the environment")


def _of_profile(profile: Profile) -> Keys:
    what = f"the AWS profile '{profile.name}'"
    for name, value in (("aws_access_key_id", profile.access), ("aws_secret_access_key", profile.secret)):
        if not value:
            raise VqiError(f"{what} has no {name}: add it")
        check_secret(f"{name} of {what}", value)
    return Keys(StaticProvider(profile.access, profile.secret, profile.token or None), what)


def _of_identity(server: Server, file: str, role: str, session: str, environment: Mapping[str, str]) -> Keys:
    """A key for a token that Kubernetes, say, keeps in a file and renews."""
    ending = ".cn" if server.region.startswith("cn-") else ""
    service = f"https://sts.{server.region}.amazonaws.com{ending}"
    if environment.get(TOKEN_SERVICE):
        service = address(TOKEN_SERVICE, environment[TOKEN_SERVICE])
    return Keys(
        WebIdentityProvider(
            jwt_provider_func=lambda: {"access_token": Path(file).read_text("ascii").strip(), "expires_in": "0"},
            sts_endpoint=service,
            role_arn=role or None,
            role_session_name=session or None,
            http_client=connections(service, server.authorities, STORE),
        ),
        f"the web identity in {file} at {service}",
    )


def _of_place(server: Server, environment: Mapping[str, str]) -> Keys:
    """The role of the pod or the virtual machine that this runs in."""
    in_container = any(environment.get(name) for name in CONTAINER)
    if not in_container and environment.get(NO_INSTANCE, "").lower() == "true":
        raise missing(ACCESS, f"or another way to a key: {PROFILE}, {IDENTITY_FILE}")
    service = environment.get(INSTANCE, "")
    source = IamAwsProvider(
        custom_endpoint=address(INSTANCE, service) if service and not in_container else None,
        http_client=connections("", server.authorities, METADATA),
    )
    place = "the container's role" if in_container else f"this machine's role ({ACCESS} and {PROFILE} are not set)"
    return Keys(source, place)

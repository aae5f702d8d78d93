"""The gate of the local endpoints: what may point this process elsewhere, and when."""

import pytest

from firerouter.app.bootstrap import App
from firerouter.app.environment import (
    OPENROUTER_BASE_URL,
    Environment,
    EnvironmentRefused,
    check_environment,
)

OVERRIDES = (
    "FIRESTORE_EMULATOR_HOST",
    "FIREBASE_AUTH_EMULATOR_HOST",
    "SECRET_MANAGER_EMULATOR_HOST",
    "APP_CHECK_EMULATOR_HOST",
    "OPENROUTER_BASE_URL",
    "STORAGE_EMULATOR_HOST",  # google-cloud-storage's, like the next one
    "API_ENDPOINT_OVERRIDE",
    "CLOUD_TASKS_EMULATOR_HOST",  # firebase-admin's
    "FIREBASE_STORAGE_EMULATOR_HOST",  # firebase-admin's
    "SOMEBODYS_NEXT_EMULATOR_HOST",
)
LOCAL = {"FUNCTIONS_EMULATOR": "true"}
DEPLOYED = {"K_SERVICE": "api", "K_REVISION": "api-00001", "K_CONFIGURATION": "api"}


def test_an_ordinary_environment_passes() -> None:
    check_environment({})
    check_environment({"PATH": "/bin", "GCLOUD_PROJECT": "p", **DEPLOYED})
    check_environment(LOCAL)


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize("value", ["127.0.0.1:8080", "http://127.0.0.1:8080/api/v1", "", "x"])
@pytest.mark.parametrize("where", [{}, DEPLOYED], ids=["anywhere", "deployed"])
def test_outside_the_emulator_no_override_may_be_set(
    name: str, value: str, where: dict[str, str]
) -> None:
    with pytest.raises(EnvironmentRefused, match=name):
        check_environment({**where, name: value})


@pytest.mark.parametrize("value", ["true", "false", "1", "0", ""])
@pytest.mark.parametrize("more", [{}, {"FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080"}])
def test_no_env_file_can_make_production_look_like_the_emulator(
    value: str, more: dict[str, str]
) -> None:
    with pytest.raises(EnvironmentRefused, match="FUNCTIONS_EMULATOR"):
        check_environment({**DEPLOYED, "FUNCTIONS_EMULATOR": value, **more})


@pytest.mark.parametrize(
    "name",
    [
        *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"),
        *("grpc_proxy", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "SSLKEYLOGFILE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    ],
)
def test_no_env_file_can_lead_requests_astray(name: str) -> None:
    given = {name: "http://elsewhere.example:3128/s3cret"}
    with pytest.raises(EnvironmentRefused, match=f"^{name} is set in production") as refused:
        check_environment({**DEPLOYED, **given})
    assert "elsewhere" not in str(refused.value)
    check_environment({**LOCAL, **given})  # a developer's network may need it
    check_environment(given)


def test_what_is_only_named_like_a_detour_may_be_set() -> None:
    check_environment(
        {**DEPLOYED, "MY_HTTPS_PROXY": "x", "HTTPS_PROXY_NOTE": "x", "PROXY": "x", "NO_PROXY": "x"}
    )


def test_an_empty_functions_emulator_is_no_emulator() -> None:
    with pytest.raises(EnvironmentRefused, match="OPENROUTER_BASE_URL"):
        check_environment({"FUNCTIONS_EMULATOR": "", "OPENROUTER_BASE_URL": "http://127.0.0.1"})


@pytest.mark.parametrize("name", OVERRIDES)
@pytest.mark.parametrize(
    "value",
    [
        "127.0.0.1:8080",
        "127.0.0.1",
        "localhost:8080",
        "LOCALHOST:8080",
        "[::1]:8080",
        "http://127.0.0.1:8080",
        "http://localhost:8080/api/v1",
        "http://[::1]:8080/api/v1",
    ],
)
def test_in_the_emulator_an_override_may_be_an_address_of_this_machine(
    name: str, value: str
) -> None:
    check_environment({**LOCAL, name: value})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "8080",
        "0.0.0.0:8080",
        "10.0.0.1:8080",
        "example.com:8080",
        "127.0.0.1.evil.com:8080",
        "localhost.evil.com",
        "evil.com/127.0.0.1",
        "evil.com#127.0.0.1",
        "evil.com?127.0.0.1",
        "http://evil.com",
        "http://127.0.0.1@evil.com",
        "http://127.0.0.1:80@evil.com:80/api/v1",
        "127.0.0.1@evil.com:8080",
        "http://evil.com\\@127.0.0.1",
        "http://127.0.0.1\\.evil.com",
        "//evil.com",
        "http:///127.0.0.1",
        "[::]:8080",
        "[::ffff:10.0.0.1]:8080",
        "[::1]evil.com:8080",
        "[::1",
        "::1",
        "127.0.0.1 evil.com",
        "127.0.0.1\n.evil.com",
        "unix:/tmp/socket",
        "file:///etc/passwd",
    ],
)
def test_in_the_emulator_an_override_that_leads_elsewhere_is_refused(value: str) -> None:
    with pytest.raises(EnvironmentRefused, match="APP_CHECK_EMULATOR_HOST"):
        check_environment({**LOCAL, "APP_CHECK_EMULATOR_HOST": value})


def test_the_real_openrouter_may_be_used_from_a_laptop() -> None:
    check_environment({**LOCAL, "OPENROUTER_BASE_URL": OPENROUTER_BASE_URL})


@pytest.mark.parametrize(
    "value",
    [
        f"{OPENROUTER_BASE_URL}.evil.com",
        f"{OPENROUTER_BASE_URL}@evil.com",
        "https://openrouter.ai.evil.com/api/v1",
        "http://openrouter.ai/api/v1",
        "https://user@openrouter.ai/api/v1",
    ],
)
def test_what_only_looks_like_the_real_openrouter_is_refused(value: str) -> None:
    with pytest.raises(EnvironmentRefused, match="OPENROUTER_BASE_URL"):
        check_environment({**LOCAL, "OPENROUTER_BASE_URL": value})


def test_no_other_override_may_name_the_real_openrouter() -> None:
    with pytest.raises(EnvironmentRefused, match="FIRESTORE_EMULATOR_HOST"):
        check_environment({**LOCAL, "FIRESTORE_EMULATOR_HOST": OPENROUTER_BASE_URL})


def test_a_refusal_does_not_repeat_what_else_is_in_the_address() -> None:
    with pytest.raises(EnvironmentRefused) as refused:
        check_environment({**LOCAL, "OPENROUTER_BASE_URL": "https://u:hunter2@evil.com/key"})
    assert "hunter2" not in str(refused.value)


def test_the_parts_of_an_instance_are_behind_the_same_gate() -> None:
    with pytest.raises(EnvironmentRefused, match="APP_CHECK_EMULATOR_HOST"):
        App({"APP_CHECK_EMULATOR_HOST": "127.0.0.1:1"})


@pytest.mark.parametrize(
    ("environ", "project"),
    [
        ({"GCLOUD_PROJECT": "a", "GOOGLE_CLOUD_PROJECT": "b"}, "a"),
        ({"GOOGLE_CLOUD_PROJECT": "b"}, "b"),
        ({"FIREBASE_CONFIG": '{"projectId": "c"}'}, "c"),
    ],
)
def test_the_project_is_found_where_google_puts_it(environ: dict[str, str], project: str) -> None:
    assert Environment(environ).project == project


def test_a_project_that_nobody_names_is_told_to_be_missing() -> None:
    with pytest.raises(EnvironmentRefused, match="set GCLOUD_PROJECT"):
        _ = Environment({}).project


@pytest.mark.parametrize("value", ["{", "[]", '"x"', "null", "7"])
def test_a_malformed_firebase_config_keeps_the_process_from_starting(value: str) -> None:
    with pytest.raises(EnvironmentRefused, match="FIREBASE_CONFIG"):
        check_environment({"FIREBASE_CONFIG": value})


def test_a_project_without_cloud_storage_has_no_bucket() -> None:
    assert Environment({}).storage_bucket == ""
    config = '{"storageBucket": "demo.appspot.com"}'
    assert Environment({"FIREBASE_CONFIG": config}).storage_bucket == "demo.appspot.com"


def test_stand_ins_are_found_where_the_suite_puts_them() -> None:
    assert Environment({}).openrouter_url == OPENROUTER_BASE_URL
    assert Environment({}).app_check_host is None
    local = Environment({**LOCAL, "APP_CHECK_EMULATOR_HOST": "127.0.0.1:1"})
    assert (local.emulated, local.app_check_host) == (True, "127.0.0.1:1")
    assert (local.secret_manager_host, local.storage_host) == (None, None)


@pytest.mark.parametrize("store", ["/etc/ssl/certs", "/etc/ssl/cert.pem", "/usr/lib/ssl/certs"])
def test_a_platform_may_name_the_certificates_of_its_own_image(store: str) -> None:
    check_environment({**DEPLOYED, "SSL_CERT_FILE": store, "SSL_CERT_DIR": store})
    for value in (f"{store}:/workspace", f"/workspace{store}", f".{store}"):
        with pytest.raises(EnvironmentRefused):
            check_environment({**DEPLOYED, "SSL_CERT_DIR": value})

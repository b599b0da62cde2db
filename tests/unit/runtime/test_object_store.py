"""The door to the object store, on a local folder, and the start-up proof on stores that lie."""

from __future__ import annotations

import pytest

from stream_processor.config.pipeline import StorageConfig
from stream_processor.errors import (
    ConfigurationError,
    CredentialsRejected,
    StoreRefused,
    StoreUnavailable,
)
from stream_processor.runtime.object_store import (
    ca_environment,
    delta_storage_options,
    open_store,
    store_error,
)
from stream_processor.runtime.store_proof import check_reachable, prove_conditional_create


@pytest.mark.parametrize("name", ["orders", "a b", "ü", "x#1", "p%20q", "k=v", "~tilde"])
def test_a_folder_of_any_name_keeps_objects(tmp_path, name):
    """A folder's name is the user's business, and no key is spelled differently than asked."""
    folder = tmp_path / name
    store = open_store(str(folder), StorageConfig())
    assert store.put_if_absent("_delta_log/2.json", b"two")
    assert store.put_if_absent("_delta_log/1.json", b"one")
    assert not store.put_if_absent("_delta_log/1.json", b"other")
    assert (folder / "_delta_log/1.json").read_bytes() == b"one"
    assert list(store.list("_delta_log/")) == ["_delta_log/1.json", "_delta_log/2.json"]
    assert list(store.list("_delta_log/", "_delta_log/1.json")) == ["_delta_log/2.json"]
    assert store.get("_delta_log/2.json") == b"two"
    store.delete("_delta_log/2.json")
    store.delete("_delta_log/2.json")
    assert list(store.list("")) == ["_delta_log/1.json"]


def test_looking_makes_no_folder(tmp_path):
    """`verify` with a typing error in the address must leave nothing behind."""
    store = open_store(str(tmp_path / "none"), StorageConfig())
    check_reachable(store)
    assert list(store.list("")) == []
    with pytest.raises(FileNotFoundError):
        store.get("a")
    store.delete("a")
    assert not (tmp_path / "none").exists()


def test_file_urls_are_folders(tmp_path):
    """Other tools print addresses so."""
    open_store(f"file://{tmp_path}/a%20b", StorageConfig()).put_if_absent("k", b"v")
    assert (tmp_path / "a b/k").read_bytes() == b"v"


def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path):
    """A disk that says no is a pause, never a dead letter and never a stack trace."""
    (tmp_path / "file").write_text("in the way")
    store = open_store(str(tmp_path / "file"), StorageConfig())
    with pytest.raises(StoreUnavailable, match="the folder"):
        store.put_if_absent("a/b", b"v")


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3:///x", "s3://key:secret@bucket/x"])
def test_addresses_that_are_none_are_refused(uri):
    """Before anything is contacted, and without repeating a secret."""
    with pytest.raises(ConfigurationError) as caught:
        open_store(uri, StorageConfig())
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_options_bound_every_request_and_the_users_come_last():
    """The library's own bounds would cost us our partitions; a person may still change ours."""
    options = delta_storage_options(
        StorageConfig(
            endpoint="http://127.0.0.1:9000",
            access_key_id="key",
            secret_access_key="secret",
            options={"TIMEOUT": "7s", "AWS_S3_LOCKING_PROVIDER": ""},
        )
    )
    assert options == {
        "connect_timeout": "5s",
        "max_retries": "3",
        "retry_timeout": "30s",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ALLOW_HTTP": "true",
        "TIMEOUT": "7s",
        "AWS_S3_LOCKING_PROVIDER": "",
    }


def test_plain_http_is_allowed_only_where_it_is_written():
    """A forgotten `s` in a proxy must not send keys in the clear."""
    assert "AWS_ALLOW_HTTP" not in delta_storage_options(StorageConfig(endpoint="https://s3:9000"))
    assert "AWS_ALLOW_HTTP" not in delta_storage_options(StorageConfig())


@pytest.mark.parametrize(
    "option",
    [
        {"AWS_S3_ALLOW_UNSAFE_RENAME": "true"},
        {"allow_unsafe_rename": "1"},
        {"AWS_CONDITIONAL_PUT": "disabled"},
        {"conditional_put": "dynamo:table"},
    ],
)
def test_options_that_break_exactly_once_are_refused(option):
    """Each of them is one copied line away from two writers overwriting each other."""
    with pytest.raises(ConfigurationError, match="overwrite each other"):
        delta_storage_options(StorageConfig(options=option))
    with pytest.raises(ConfigurationError, match="overwrite each other"):
        open_store("s3://bucket/x", StorageConfig(options=option))


def test_options_of_the_delta_library_alone_do_not_disturb_our_client():
    """The client under this door panics on keys that it does not expect."""
    options = {"timeout": "5s", "AWS_ALLOW_HTTP": "true", "AWS_SESSION_TOKEN": "t", "other": "x"}
    open_store("s3://bucket/x", StorageConfig(options=options))


def test_a_ca_file_reaches_both_clients(tmp_path):
    """One of them knows it only by environment, the other reads it here."""
    missing = StorageConfig(endpoint="https://s3", ca_file=str(tmp_path / "ca.pem"))
    assert ca_environment(missing) == {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    assert ca_environment(StorageConfig()) == {}
    with pytest.raises(ConfigurationError, match=r"ca\.pem cannot be read"):
        open_store("s3://bucket/x", missing)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("404 Not Found: <Code>NoSuchBucket</Code>", StoreUnavailable, "does not exist"),
        ("403 Forbidden <Code>InvalidAccessKeyId</Code>", CredentialsRejected, "refused"),
        ("HTTP error: error sending request", StoreUnavailable, "no connection"),
        ("No space left on device", StoreUnavailable, "no space left"),
        ("<Code>RequestTimeTooSkewed</Code>", CredentialsRejected, "clocks differ"),
        ("<Code>ExpiredToken</Code>", CredentialsRejected, "refused"),
        ("507 Insufficient Storage", StoreUnavailable, "no space left"),
        ("something new", StoreUnavailable, "an error was returned"),
    ],
)
def test_what_the_store_says_becomes_a_sentence_of_ours(text, kind, says):
    """The library's own text holds addresses and query strings."""
    error = store_error(OSError(f"GET http://h/b?X-Amz-Signature=abc {text}"), "s3://lake/orders")
    assert type(error) is kind
    assert says in str(error)
    assert "Signature" not in f"{error} {error.hint}"


class Lying:
    """A store that takes the condition for decoration, like some that speak S3."""

    def __init__(self, *, answer: bool | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.answer = answer

    def list(self, prefix, start_after=""):
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def get(self, key):
        return self.objects[key]

    def put_if_absent(self, key, data):
        self.objects[key] = data
        return True if self.answer is None else self.answer

    def delete(self, key):
        self.objects.pop(key, None)


def test_a_local_folder_proves_itself_and_is_left_clean(tmp_path):
    """The proof runs at every start."""
    prove_conditional_create(open_store(str(tmp_path), StorageConfig()))
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_overwrites_is_refused_and_left_clean():
    """Two owners of one partition would both believe that they have committed."""
    store = Lying()
    with pytest.raises(StoreRefused, match="let 16 of 16 writers create one object"):
        prove_conditional_create(store)
    assert store.objects == {}


def test_a_proof_without_an_answer_is_an_outage_not_a_verdict():
    """A lost answer on a bad network must not condemn a good store."""
    with pytest.raises(StoreUnavailable):
        prove_conditional_create(Lying(answer=False), racers=2, rounds=1)

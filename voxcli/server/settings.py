"""Server settings, plain data that the command line fills in."""

from dataclasses import dataclass, field
from pathlib import Path

SPEAKING_PROMPT = (
    "Your answer is read aloud while you write it. Write short, plain sentences, as people talk, in the language "
    "of the user: no headings, no lists, no tables, no code, no emoji and no links unless you are asked for them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelSettings:
    """A language model that answers in a chat, behind OpenAI's API."""

    url: str
    """Base URL of the API, such as http://localhost:11434/v1."""
    model: str | None = None
    """None for the first one that it lists."""
    key: str | None = field(default=None, repr=False)
    prompt: str = SPEAKING_PROMPT
    """The first message of every conversation, from the system; empty for none."""
    seconds: float = 120.0
    """The longest time in which it may write nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """A certificate with those that vouch for it, and its private key, in PEM."""

    certificate: Path
    key: Path | None = None
    """None if the first file has it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server is run."""

    host: str = "127.0.0.1"
    port: int = 7861
    tls: TlsFiles | None = None
    """For HTTPS instead of HTTP."""
    keys: frozenset[str] = frozenset()
    """API keys. Without any, no authentication is required."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names to accept besides the address it listens on."""
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies that are trusted to tell their clients' addresses, or "*" for any."""
    root_path: str = ""
    """Path below which a proxy offers the server."""
    slots: int | None = None
    """Concurrent streams; None for as many as the engine runs."""
    queue: int | None = None
    """Requests that may wait for a slot; None for as many as would get one in time at the measured speed."""
    receive_seconds: float = 30.0
    """For a client to send the headers of a request, and each part of its body."""
    wait_seconds: float = 60.0
    """For a slot, before a request is refused."""
    send_seconds: float = 30.0
    """For the client to accept a chunk while the engine waits for it, before the connection is aborted."""
    pause_seconds: float = 600.0
    """The same, while the speech waits for the client and the engine does not."""
    spool_memory_bytes: int = 64 * 2**20
    spool_file_bytes: int = 2 * 2**30
    """Speech that may wait for slow clients in memory, and then in a temporary file."""
    socket_idle_seconds: float = 300.0
    """For the next message on a WebSocket on which nothing is spoken."""
    writer_seconds: float = 60.0
    """For more text of one that a client is still writing: it has a slot meanwhile."""
    ping_seconds: float = 20.0
    """Between two pings on a WebSocket, and for the answer to one: a client that is gone without a word gives none."""
    max_sockets: int = 512
    """Open WebSockets."""
    max_utterance_characters: int = 100_000
    """Of a text that a client writes while it is spoken."""
    drain_seconds: float = 30.0
    """For running streams to finish and be received, after SIGTERM."""
    max_characters: int = 4096
    max_upload_bytes: int = 10 * 2**20
    max_clip_seconds: float = 60.0
    strict_models: bool = False
    """Refuse model names other than that of the loaded model."""
    lazy: bool = False
    """Load the model on the first request."""
    idle_seconds: float | None = None
    """Idle time before the model is unloaded; None keeps it loaded."""
    voices: Path | None = None
    """The library of voices."""
    language_model: LanguageModelSettings | None = None
    """Answers in a chat; without it there is none."""
    voice: str | None = None
    """Name of the voice for requests that name none; None for the model's own default."""

"""The client of a language model, against one on a real socket: answers, and every way in which there is none."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.language_model import Exchange, LanguageModelStub, Script, language_model, writing
from voxcli.errors import RemoteCut, RemoteError, RemoteRefused, RemoteTimeout, RemoteUnknown
from voxcli.protocols.openai.chat import ChatMessage
from voxcli.server.language_model import LanguageModel
from voxcli.server.settings import LanguageModelSettings

QUESTION = [ChatMessage(role="user", content="Who are you?")]
KEY = "sk-secret"


async def ask(url: str, **settings: Any) -> tuple[list[str], str | None, RemoteError | None, LanguageModel]:
    """Return the pieces of an answer, why it ended, and the error."""
    model = LanguageModel(LanguageModelSettings(url=url, **{"seconds": 10.0, **settings}))
    pieces: list[str] = []

    async def keep(text: str) -> None:
        pieces.append(text)

    try:
        return pieces, await model.answer(QUESTION, keep), None, model
    except RemoteError as error:
        return pieces, None, error, model
    finally:
        await model.close()


def asked(script: Script, **settings: Any) -> tuple[list[str], str | None, RemoteError | None, LanguageModelStub]:
    with language_model(script, settings.pop("models", ("small", "large"))) as stub:
        pieces, reason, error, _ = asyncio.run(ask(stub.url, **settings))
        return pieces, reason, error, stub


def test_an_answer_comes_in_pieces() -> None:
    pieces, reason, error, stub = asked(writing("I am ", "a model."), key=KEY, prompt="Be brief.")
    assert (pieces, reason, error) == (["I am ", "a model."], "stop", None)
    (exchange,) = stub.exchanges
    assert exchange.path == "/v1/chat/completions"
    assert exchange.headers["authorization"] == f"Bearer {KEY}"
    assert exchange.fields["messages"][0] == {"role": "system", "content": "Be brief."}
    assert exchange.fields["messages"][1:] == [{"role": "user", "content": "Who are you?"}]
    assert exchange.fields["stream"] is True


def test_without_a_prompt_the_conversation_begins_with_the_user() -> None:
    _, _, _, stub = asked(writing("Yes."), prompt="")
    assert [message["role"] for message in stub.exchanges[0].fields["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("models", "chosen", "expected"),
    [
        (("small", "large"), None, "small"),
        (("nomic-embed-text", "qwen3"), None, "qwen3"),
        (("whisper-1",), None, "whisper-1"),
        (("small", "large"), "large", "large"),
        ((), None, None),
        (None, None, None),
    ],
)
def test_the_model_is_the_chosen_one_or_the_first_that_writes(
    models: tuple[str, ...] | None, chosen: str | None, expected: str | None
) -> None:
    _, _, error, stub = asked(writing("Yes."), models=models, model=chosen)
    assert error is None
    assert stub.exchanges[0].fields.get("model") == expected


def test_a_whole_answer_is_taken_where_no_stream_was_to_be_had() -> None:
    def script(exchange: Exchange) -> None:
        exchange.document({"choices": [{"message": {"role": "assistant", "content": "Whole."}}]})

    assert asked(script)[:3] == (["Whole."], None, None)


def test_a_connection_that_stays_open_after_the_end_is_not_waited_for() -> None:
    def script(exchange: Exchange) -> None:
        writing("Done.")(exchange)
        exchange.wait_until_left()

    with language_model(script) as stub:

        async def run() -> None:
            model = LanguageModel(LanguageModelSettings(url=stub.url))
            assert await model.answer(QUESTION, _ignore) == "stop"
            assert await asyncio.to_thread(stub.exchanges[0].left.wait, 10)
            await model.close()

        asyncio.run(run())


def refusing(status: int, body: Any, **headers: str) -> Script:
    return lambda exchange: exchange.document(body, status, **headers)


def sending(data: bytes, kind: str = "text/event-stream") -> Script:
    def script(exchange: Exchange) -> None:
        exchange.head(kind=kind)
        exchange.send(data)

    return script


def dying(exchange: Exchange) -> None:
    exchange.head(transfer_encoding="chunked")
    exchange.send(b'3f\r\ndata: {"choices": [{"delta": {"content": "One. Two"}}]}\n\n')
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def ending_early(exchange: Exchange) -> None:
    exchange.head()
    exchange.write("One. Two")


NO_MODEL = {"error": {"message": "model 'huge' not found, try pulling it first"}}
FAILURES: dict[str, tuple[Script, type[RemoteError], tuple[str, ...]]] = {
    "401": (
        refusing(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
        RemoteRefused,
        ("refused the key (401): Incorrect API key provided: ….", "Store its key"),
    ),
    "404, unknown model": (
        refusing(404, NO_MODEL),
        RemoteUnknown,
        ("has no model 'huge'", "try pulling it first", "It has: small, large."),
    ),
    "404, no such path": (refusing(404, {"detail": "Not Found"}), RemoteUnknown, ("answers no chats", "with /v1")),
    "429": (refusing(429, {}, retry_after="7"), RemoteRefused, ("accepts no more requests", "Try again in 7 s.")),
    "500": (refusing(500, {"error": "CUDA out of memory"}), RemoteRefused, ("CUDA out of memory. Try again",)),
    "redirect": (refusing(307, {}, location="http://other/"), RemoteRefused, ("redirects elsewhere",)),
    "400": (refusing(400, {"error": {"message": "too long"}}), RemoteRefused, ("failed (400): too long.",)),
    "page": (sending(b"<html><title>Log in</title></html>", "text/html"), RemoteError, ("other than an answer",)),
    "json": (sending(b"{}", "application/json"), RemoteError, ("failed while it was answering",)),
    "garbage": (sending(b"data: \xff\xfe{]\n\n"), RemoteError, ("not JSON", "Is it a server with OpenAI's API?")),
    "nothing": (sending(b""), RemoteError, ("other than an answer",)),
    "empty": (writing(), RemoteError, ("wrote an empty answer (it stopped because of 'stop')", "Ask again")),
    "error event": (sending(b'data: {"error": {"message": "slot lost"}}\n\n'), RemoteError, ("slot lost",)),
    "closed": (lambda exchange: None, RemoteError, ("closed the connection without an answer",)),
    "dies": (dying, RemoteCut, ("stopped in the middle of its answer",)),
    "ends early": (ending_early, RemoteCut, ("stopped in the middle of its answer",)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_names_the_model_its_address_and_what_to_do(name: str) -> None:
    script, kind, said = FAILURES[name]
    with language_model(script) as stub:

        async def run() -> RemoteError | None:
            model = LanguageModel(LanguageModelSettings(url=stub.url, model="huge", key=KEY, seconds=10.0))
            await model.find_models()
            try:
                await model.answer(QUESTION, _ignore)
            except RemoteError as error:
                return error
            finally:
                await model.close()
            return None

        error = asyncio.run(run())
        assert type(error) is kind
        assert str(error).startswith(f"The language model at {stub.url} ")
        assert KEY not in error.for_command_line
        for part in said:
            assert part in str(error)


async def _ignore(text: str) -> None:
    pass


@pytest.mark.parametrize("script", [dying, ending_early])
def test_what_was_written_before_the_end_came_is_passed_on(script: Script) -> None:
    assert asked(script)[0] == ["One. Two"]


def no_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"http://127.0.0.1:{sock.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (no_port, "cannot be reached: nothing listens on that port (connection refused). Start it,"),
        (lambda: "http://no-such-host.invalid/v1", "no-such-host.invalid"),
    ],
)
def test_a_model_that_is_not_there(url: Callable[[], str], said: str) -> None:
    _, _, error, _ = asyncio.run(ask(url()))
    assert type(error) is RemoteError
    assert "cannot be reached" in str(error)
    assert said in str(error)


def silent(exchange: Exchange) -> None:
    exchange.head()
    exchange.write("One. ")
    exchange.send(b": still here\n\n")
    exchange.wait_until_left()


def silent_from_the_beginning(exchange: Exchange) -> None:
    exchange.wait_until_left()


@pytest.mark.parametrize(("script", "pieces"), [(silent, ["One. "]), (silent_from_the_beginning, [])])
def test_a_model_that_stalls_is_given_up(script: Script, pieces: list[str]) -> None:
    written, _, error, stub = asked(script, seconds=1.0)
    assert written == pieces
    assert type(error) is RemoteTimeout
    assert "has written nothing for 1 s" in str(error)
    assert stub.exchanges[0].left.is_set()


def test_reasoning_counts_as_writing() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        for _ in range(4):
            exchange.event({"choices": [{"delta": {"reasoning_content": "Hm."}}]})
            assert not exchange.left.wait(0.6)
        exchange.write("Yes.")
        exchange.done()

    assert asked(script, seconds=2.0)[:3] == (["Yes."], "stop", None)


def test_cancelling_closes_the_connection() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.write("One.")
        exchange.wait_until_left()

    with language_model(script) as stub:

        async def run() -> None:
            model, begun = LanguageModel(LanguageModelSettings(url=stub.url)), asyncio.Event()

            async def begin(text: str) -> None:
                begun.set()

            answering = asyncio.create_task(model.answer(QUESTION, begin))
            await begun.wait()
            answering.cancel()
            await asyncio.wait({answering})
            assert await asyncio.to_thread(stub.exchanges[0].left.wait, 10)
            await model.close()

        asyncio.run(run())


def test_an_endless_answer_is_stopped() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        for _ in range(60):
            exchange.write("again and " * 500)
        exchange.wait_until_left()

    pieces, _, error, _ = asked(script)
    assert type(error) is RemoteCut
    assert "stopped after 200000 characters" in str(error)
    assert len("".join(pieces)) < 300_000


def test_a_slow_reader_does_not_count_as_a_stall() -> None:
    with language_model(writing("One. ", "Two.")) as stub:

        async def run() -> list[str]:
            model, pieces = LanguageModel(LanguageModelSettings(url=stub.url, seconds=1.0)), []

            async def slowly(text: str) -> None:
                await asyncio.sleep(0 if pieces else 1.2)
                pieces.append(text)

            await model.answer(QUESTION, slowly)
            await model.close()
            return pieces

        assert asyncio.run(run()) == ["One. ", "Two."]

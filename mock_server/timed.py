"""The app for clients in other processes, which cannot see the mock's clock: time stands in headers."""

from typing import Any, Final

from blaxel_jobs.errors import RequestError
from blaxel_jobs.server.app import App
from blaxel_jobs.server.asgi import Message, Receive, Scope, Send
from blaxel_jobs.server.exchange import Exchange
from blaxel_jobs.words import ELAPSED, SLEPT

from .clock import MockClock

MOST_SLEPT: Final = 86_400.0

_ELAPSED: Final = ELAPSED.lower().encode()
_SLEPT: Final = SLEPT.lower().encode()


class TimedApp(App):
    """The app, for clients in other processes: an answer says how many seconds of the mock's time its request took, and a request
    how many its client has slept in that time."""

    def __init__(self, *arguments: Any, clock: MockClock, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        slept = dict(scope["headers"]).get(_SLEPT) if scope["type"] == "http" else None
        if slept:
            try:
                await self._clock.spend(min(max(float(slept), 0.0), MOST_SLEPT))
            except ValueError:
                pass  # it says nothing
            except RequestError as error:
                await self._refuse(scope, send, error)
                return
        began = self._clock.monotonic()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((_ELAPSED, b"%.6f" % (self._clock.monotonic() - began)))
            await send(message)

        await super().__call__(scope, receive, timed)

    async def _refuse(self, scope: Scope, send: Send, error: RequestError) -> None:
        headers, body = Exchange(scope, self.new_request_id).problem(error)
        await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

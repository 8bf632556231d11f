"""Requests to replicas of the prediction API at a constant rate, in a process of its own; each outcome is a JSON line.

The model is open: a request is sent when it is due, whether or not earlier ones are answered, and its latency counts
from then, so a stall delays no request out of sight. Like the proxy of the compose profile it asks the next replica
where one cannot be reached or answers with 502 or 503. Ends by SIGTERM, once every request has its outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from itertools import count
from pathlib import Path
from typing import IO, Any

import aiohttp  # type: ignore[import-not-found]

HEADERS = {"Content-Type": "application/json"}
ASK_THE_NEXT = {502, 503}
TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=2)


async def send(arguments: argparse.Namespace, output: IO[str]) -> None:
    """Send requests until SIGTERM, and write an outcome for each."""
    bodies = arguments.rows.read_text(encoding="utf-8").splitlines()
    stopped, tasks = asyncio.Event(), set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=HEADERS) as session:
        started, ahead = loop.time(), time.time() - loop.time()

        async def ask(number: int, due: float) -> None:
            urls = [arguments.urls[(number + at) % len(arguments.urls)] for at in range(len(arguments.urls))]
            outcome = await _ask(session, urls, bodies[number % len(bodies)])
            line = {"due": due + ahead, "seconds": loop.time() - due, **outcome}
            output.write(json.dumps(line) + "\n")

        for number in count():
            due = started + number / arguments.rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            if stopped.is_set():
                break
            task = asyncio.create_task(ask(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)


async def _ask(session: aiohttp.ClientSession, urls: list[str], body: str) -> dict[str, Any]:
    reasons: list[str] = []
    for url in urls:
        try:
            async with session.post(f"{url}/predict", data=body) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            reasons.append(type(error).__name__)
            continue
        if answer.status == 200:
            return {"ok": True, "id": json.loads(content)["request_id"], "reasons": reasons}
        reasons.append(str(answer.status))
        if answer.status not in ASK_THE_NEXT:
            break
    return {"ok": False, "id": "", "reasons": reasons}


def main() -> None:
    """Read the command line and send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path, help="a body a line")
    parser.add_argument("output", type=Path)
    parser.add_argument("rate", type=float, help="requests a second")
    parser.add_argument("urls", nargs="+")
    arguments = parser.parse_args()
    with arguments.output.open("w", encoding="utf-8") as output:
        asyncio.run(send(arguments, output))


if __name__ == "__main__":
    main()

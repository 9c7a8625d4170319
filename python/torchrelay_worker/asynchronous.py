"""`--async`: many messages at a time on one connection, answered as they are done. Called by `session` after the load.

A thread reads, the event loop calls. A handler that is no coroutine runs on threads.
"""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Set

from .messages import Message
from .service import Service
from .wire import ProtocolError

# The daemon bounds what it sends; this bounds what a daemon that does not can make of it.
IN_FLIGHT = 1024


def serve(protocol: Any, service: Service) -> None:
    """Serves until the connection ends, and raises why. What is still at work then is cancelled."""
    asyncio.run(_serve(protocol, service))


async def _serve(protocol: Any, service: Service) -> None:
    loop = asyncio.get_running_loop()
    ended: "asyncio.Future[None]" = loop.create_future()
    room = threading.Semaphore(IN_FLIGHT)
    tasks: Set["asyncio.Task[None]"] = set()
    threads = ThreadPoolExecutor(max_workers=max(4, os.cpu_count() or 1), thread_name_prefix="handler")

    def finished(task: "asyncio.Task[None]") -> None:
        tasks.discard(task)
        room.release()
        if not task.cancelled() and task.exception() is not None and not ended.done():
            ended.set_exception(task.exception())

    def start(message: Message) -> None:
        task = loop.create_task(_answer(protocol, service, message, loop, threads))
        tasks.add(task)
        task.add_done_callback(finished)

    def fail(error: BaseException) -> None:
        if not ended.done():
            ended.set_exception(error)

    def read() -> None:
        try:
            while True:
                message = protocol.receive()
                if not isinstance(message, Message):
                    raise ProtocolError("a second model came to a worker with --async")
                room.acquire()
                loop.call_soon_threadsafe(start, message)
                # Not while it waits for the next one: what came in memory is given back when it is answered.
                del message
        except BaseException as error:
            try:
                loop.call_soon_threadsafe(fail, error)
            except RuntimeError:
                return  # the loop is closed already: somebody else has ended the session

    threading.Thread(target=read, name="reader", daemon=True).start()
    try:
        await ended
    finally:
        for task in list(tasks):
            task.cancel()
        threads.shutdown(wait=False)


async def _answer(protocol, service: Service, message: Message, loop, threads) -> None:
    from .session import send

    def send_part(answer) -> None:
        protocol.send(message.number, answer, more=True)

    if service.is_coroutine:
        answer = await service.predict_async(message, send_part)
    else:
        answer = await loop.run_in_executor(threads, service.predict_detached, message, send_part)
    send(protocol, message, answer)

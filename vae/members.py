"""The processes of one run watch each other: who is gone or has failed is named, and all end.

Each writes a beat into the store of JAX's coordinator, which process 0 holds. Process 0 reads the
beats and writes what it makes of them; the others read that, and know that process 0 is gone where
it says nothing new. JAX's own way is to abort a process with pages of its log: those are switched
off, and a handler of SIGABRT says what happened in a line.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

BEAT = 1.0  # seconds between two looks
SILENCE = 30.0  # seconds without a beat, after which a process is gone
SUSPECTED = 8.0  # the same, where an exchange with another process has failed
GRACE = 10.0  # seconds to end by itself, for a process that has been told that another has failed
SAVING = 60.0  # seconds for one that works by itself, to save
FIRST = "vae/first"  # where process 0 beats, and says what it knows of the others
GO_ON = "run the same command again on all of them to go on"


class Members:
    """This process among those of a run.

    Args:
      together: their devices are those of one run. Else JAX is made to forget the others before it
        looks for devices. Such a process saves on SIGTERM, and waits for nobody meanwhile.
    """

    def __init__(self, together: bool):
        self.together = together
        self.number, self.count, self.coordinator = 0, 1, ""
        self.suspects = False  # an exchange has failed: somebody is gone
        self.verdict = ""  # why this run ends, known from others
        self._kind, self._code, self._message = "", 1, ""  # its parts
        self._leaving: int | None = None  # the exit code, once it is known
        self._last = ""  # what others are told of it
        self._met = 0
        self._seen: dict[int, tuple[str, float]] = {}  # by process: its last beat, and since when
        self._beats = 0
        self._catch_abort()

    def watch(self, jax_state: Any) -> None:
        """Begins to beat and to look at the others, in threads.

        Args:
          jax_state: what `jax.distributed.initialize` has set.
        """
        self.client, self.number = jax_state.client, jax_state.process_id
        self.count, self.coordinator = jax_state.num_processes, jax_state.coordinator_address
        self._jax_state = jax_state
        if not self.together:
            jax_state.client, jax_state.process_id, jax_state.num_processes = None, 0, 1
        self._place = f"vae/beat/{self.number}" if self.number else FIRST
        self._now = time.monotonic()
        threading.Thread(target=self._exchange, daemon=True).start()
        threading.Thread(target=self._look, daemon=True).start()

    def share(self, name: str, value: Any) -> Any:
        """Process 0's value, which JSON can hold, in every process; the others wait for it."""
        key = f"vae/shared/{name}/{self._next()}"
        if self.number == 0:
            self.client.key_value_set(key, json.dumps(value))
            return value
        while (found := self._get(key)) is None:
            time.sleep(BEAT / 4)
        return json.loads(found)

    def meet(self, name: str) -> None:
        """Waits until every process is here, for hours if need be, without the devices."""
        place = f"vae/met/{name}/{self._next()}"
        self.client.key_value_set(f"{place}/{self.number}", "")
        if self.number == 0:
            while len(self.client.key_value_dir_get(place)) < self.count:
                time.sleep(BEAT / 4)
        self.share(name, True)

    def suspect(self) -> None:
        """After an exchange that failed: waits for the reason, which ends this process; returns
        where there is none."""
        self.suspects = True
        time.sleep(SUSPECTED + 4 * BEAT)

    def leave(self, code: int, message: str) -> None:
        """Tells the others how this process ends. A failed one does not wait for them as JAX does,
        and ends here."""
        line = " ".join(message.split())
        self._last = f"ended {code} process {self.number} of this run has ended: {line}"
        if code == 0:
            self._last = "done 0"
        self._leaving = code
        try:
            self._set(self._place, self._last)
            if code == 0:
                self._jax_state.client = self.client  # which JAX disconnects when Python ends
                return
            until = time.monotonic() + GRACE
            if self.number or self.verdict:
                time.sleep(2 * BEAT)  # it is read meanwhile
                _exit(code)
            while time.monotonic() < until and not self._all_ended():
                time.sleep(BEAT / 4)
        except Exception:  # process 0 is gone
            if code == 0:
                return
        _exit(code)

    def _all_ended(self) -> bool:
        return all(
            self._seen.get(n, ("", 0.0))[0].startswith(("done", "ended"))
            for n in range(1, self.count)
        )

    def _next(self) -> int:
        self._met += 1
        return self._met

    def _get(self, key: str) -> str | None:
        try:
            return self.client.key_value_try_get(key)
        except Exception as error:
            if "NOT_FOUND" in str(error):
                return None
            raise

    def _set(self, key: str, value: str) -> None:
        self.client.key_value_set(key, value, allow_overwrite=True)

    def _exchange(self) -> None:
        """Beats, and reads the others'. A call may hang for as long as a network is down."""
        while self._leaving != 0:
            try:
                self._beats += 1
                self._set(self._place, self._last or self.verdict or f"beat {self._beats}")
                if self.number == 0:
                    found = self.client.key_value_dir_get("vae/beat/")
                    beats = {int(key.rpartition("/")[2]): value for key, value in found}
                else:
                    beats = {0: self._get(FIRST) or ""}
            except Exception:
                beats = {}
            for number, value in beats.items():
                if self._seen.get(number, ("", 0.0))[0] != value:
                    self._seen[number] = value, time.monotonic()
            time.sleep(BEAT)

    def _look(self) -> None:
        """Ends this process where another is gone or has failed."""
        while self._leaving is None and not self.verdict:
            time.sleep(BEAT / 2)
            self._judge()
        if self._leaving is None:
            self._end()

    def _judge(self) -> None:
        others = range(1, self.count) if self.number == 0 else [0]
        for number in others:
            said, since = self._seen.get(number, ("", self._now))
            kind, _, rest = said.partition(" ")
            if kind in ("ended", "gone"):
                self._conclude(said)
                return
            patience = SUSPECTED if self.suspects else SILENCE
            if kind != "done" and time.monotonic() - since > patience:
                self._conclude(f"gone 1 {gone(number)}")
                return

    def _conclude(self, said: str) -> None:
        """Sets the verdict, which process 0 says to the others as it is."""
        kind, code, self._message = said.split(" ", 2)
        self._kind, self._code = kind, int(code)
        self.verdict = said

    def _end(self) -> None:
        """Ends this process, which may be waiting for one that will not come."""
        if self._kind == "ended" and self._waited(GRACE):
            return
        _say(self._message)
        if not self.together:
            os.kill(os.getpid(), signal.SIGTERM)
            if self._waited(SAVING):
                return
        elif self.number == 0:
            time.sleep(2 * BEAT)  # the others read the verdict before its store is gone
        _exit(self._code)

    def _waited(self, seconds: float) -> bool:
        """Whether this process has begun to end by itself within some seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._leaving is not None:
                return True
            time.sleep(BEAT / 4)
        return False

    def _catch_abort(self) -> None:
        """JAX aborts a process whose coordinator is gone; it then ends with a line instead."""

        def ended(number: int) -> None:
            if self._leaving is None:
                _say(self._message if self.verdict else self._why_aborted())
            _exit(self._leaving if self._leaving else self._code)

        self._handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(ended)  # kept for as long as it is set
        set_handler = ctypes.CDLL(None).signal
        set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        set_handler(signal.SIGABRT, ctypes.cast(self._handler, ctypes.c_void_p))

    def _why_aborted(self) -> str:
        if not self.coordinator:
            return (
                "the processes of this run did not come together within 5 minutes: start the same "
                "command on all of them, and let them reach process 0"
            )
        host, _, port = self.coordinator.rpartition(":")
        for _ in range(10):  # a process that is being ended lets go of its port last
            try:
                socket.create_connection((host.strip("[]"), int(port)), 2 * BEAT).close()
            except OSError:
                return gone(0)
            time.sleep(BEAT / 4)
        return "JAX has aborted this process: TF_CPP_MIN_LOG_LEVEL=1 in the environment shows why"


def gone(number: int) -> str:
    """What is said where a process is gone."""
    return f"process {number} of this run is gone, what was saved is kept: {GO_ON}"


def _say(message: str) -> None:
    os.write(2, f"error: {message}\n".encode())


def _exit(code: int) -> None:
    """Ends the process at once: JAX's own end waits for all processes."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)

"""unknot's sweeps in the shape of CPython's `_remote_debugging.RemoteUnwinder`, for Tools/inspection of CPython's sources.

Put this file's directory first in PYTHONPATH, and name unknot's program in UNKNOT_UNWINDER (docs/suites.md). Function names are
the last parts of qualified ones, as RemoteUnwinder's are.
"""

import json
import os
import subprocess
from collections import namedtuple

FrameInfo = namedtuple("FrameInfo", "filename location funcname opcode")
LocationInfo = namedtuple("LocationInfo", "lineno end_lineno col_offset end_col_offset")
ThreadInfo = namedtuple("ThreadInfo", "thread_id status frame_info")
InterpreterInfo = namedtuple("InterpreterInfo", "interpreter_id threads")
TaskInfo = namedtuple("TaskInfo", "task_id task_name coroutine_stack awaited_by")
CoroInfo = namedtuple("CoroInfo", "call_stack task_name")
AwaitedInfo = namedtuple("AwaitedInfo", "thread_id awaited_by")


class RemoteUnwinder:
    """What is asked of it that has no counterpart (`cache_frames` and the like) is ignored: unknot has one way to read."""

    totals = {"sweeps": 0, "stacks": 0, "errors": 0}

    def __init__(self, pid, *, all_threads=False, only_active_thread=False, **_):
        self.all_threads = all_threads
        command = [os.environ["UNKNOT_UNWINDER"], *os.environ.get("UNKNOT_UNWINDER_OPTIONS", "").split(), str(pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stacks = {}
        self.held = False
        self.pid = pid

    def __del__(self):
        self.process.stdin.close()
        self.process.wait()

    def _ask(self, letter):
        self.process.stdin.write(letter + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise OSError("unknot's program has ended")
        return answer

    def _sweep(self):
        answer = json.loads(self._ask(b"s"))
        for number, told in answer["new"].items():
            frames = [
                FrameInfo(file, LocationInfo(line, line, 0, 0), name.rpartition(".")[2], None)
                for name, file, line in told["frames"]
            ]
            self.stacks[int(number)] = told["tid"], told["task"], told["runs"], frames
        RemoteUnwinder.totals["sweeps"] += 1
        RemoteUnwinder.totals["stacks"] += len(answer["samples"])
        RemoteUnwinder.totals["errors"] += answer["errors"]
        if answer["errors"] and not answer["samples"]:
            raise RuntimeError("no stack could be read")
        return [self.stacks[number] for number in answer["samples"]]

    def get_stack_trace(self):
        threads = [ThreadInfo(tid, 0, frames) for tid, _, _, frames in self._sweep()]
        if not self.all_threads:
            threads = [thread for thread in threads if thread.thread_id == self.pid]
        return [InterpreterInfo(0, threads)] if threads else []

    def get_async_stack_trace(self):
        return [
            AwaitedInfo(tid, [TaskInfo(task, task, [CoroInfo(frames, task)], [])])
            for tid, task, runs, frames in self._sweep()
            if task and (runs or self.held)
        ]

    def get_all_awaited_by(self):
        return [
            AwaitedInfo(tid, [TaskInfo(task, task, [CoroInfo(frames, task)], [])])
            for tid, task, _, frames in self._sweep()
            if task
        ]

    def pause_threads(self):
        self._ask(b"p")
        self.held = True

    def resume_threads(self):
        self._ask(b"r")
        self.held = False

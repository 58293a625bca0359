# What is asked of the process


def control(number, body):
    """Called by the agent's own thread."""
    own_threads.add(_thread.get_ident())
    try:
        asked = from_json(body)
        given = CONTROLS[asked["do"]](asked)
    except BaseException as error:
        given = {"answer": "failed", "text": told(error)}
    then = given.pop("then", None)
    answer(number, 0, given)
    if then == "leave":
        launched["end"].release()


def control_done(function):
    def called(asked):
        function(asked)
        return {"answer": "done"}

    return called


def remove_breakpoint(asked):
    breakpoints.pop(asked["id"], None)
    renew_breakpoints()


def set_exceptions(asked):
    if asked["uncaught"]:
        raise ValueError("only `raised` can be stopped at; what ends the program is shown at its end anyway")
    exceptions_at.update(raised=asked["raised"], uncaught=asked["uncaught"], types=tuple(asked["types"]))
    renew_breakpoints()


def set_pause(asked):
    if asked.get("thread"):
        settings["paused"].add(asked["thread"])
    else:
        settings["pause-all"] = True
    if MONITORING is not None:
        monitor()
    else:
        trace_all()


def set_all_stop(asked):
    settings["all-stop"] = asked["on"]


def go(asked):
    launched["gate"].release()


def leave(asked):
    # Only once that is answered: the process may be gone then.
    return {"answer": "done", "then": "leave"}


def give_hits(asked):
    return {"answer": "hits", "hits": [list(pair) for pair in hits.items()]}


def give_threads(asked):
    found = []
    threading = sys.modules.get("threading")
    natives = {}
    if threading is not None:
        for ident, thread in list(getattr(threading, "_active", {}).items()):
            natives[ident] = getattr(thread, "native_id", None) or 0
    # Without the GIL, a frame of a thread that runs cannot be looked at safely: it changes meanwhile.
    running = sys._current_frames() if WITH_GIL else dict.fromkeys(list(natives) + list(states))
    for ident, frame in running.items():
        if ident in own_threads:
            continue
        state = states.get(ident)
        if state is not None and state.stopped:
            frames = state.stack
        elif frame is None and ident not in natives:
            continue
        else:
            frames = frames_of(frame)
        info = frame_info(state or State(ident), frames[-1]) if frames else None
        found.append(
            {
                "ident": ident,
                "tid": natives.get(ident, 0),
                "name": thread_name(ident),
                "stopped": bool(state is not None and state.stopped),
                "frame": info,
            }
        )
    found.sort(key=lambda thread: (thread["ident"] != launched.get("ident"), thread["tid"]))
    return {"answer": "threads", "threads": found}


def detach(asked):
    take_out()


CONTROLS = {
    "set-breakpoint": set_breakpoint,
    "remove-breakpoint": control_done(remove_breakpoint),
    "hits": give_hits,
    "exceptions": control_done(set_exceptions),
    "pause": control_done(set_pause),
    "all-stop": control_done(set_all_stop),
    "threads": give_threads,
    "go": control_done(go),
    "leave": leave,
    "detach": control_done(detach),
}


def take_out():
    """Takes all of the debugger's out of the interpreter, and lets every thread go."""
    settings["live"] = False
    breakpoints.clear()
    by_file.clear()
    codes.clear()
    exceptions_at["raised"] = False
    settings.update({"parking": False, "pause-all": False})
    settings["paused"].clear()
    if MONITORING is not None:
        number = settings["tool"]
        if number is not None:
            MONITORING.set_events(number, 0)
            MONITORING.register_callback(number, MONITORING.events.LINE, None)
            MONITORING.register_callback(number, MONITORING.events.RAISE, None)
            MONITORING.free_tool_id(number)
            settings["tool"] = None
    else:
        native_watch()
        native_everything(0)
        native_trace_others(0)
        threading = sys.modules.get("threading")
        if threading is not None and getattr(threading, "_trace_hook", None) is begin_trace:
            threading.settrace(None)
    for state in list(states.values()):
        state.stepping = False
        if state.stopped:
            native_post(state.ident, '{"do":"resume","how":"continue","frame":0,"others":false}')


def gone():
    """The session has ended, or unknot has."""
    take_out()
    for gate in ("gate", "end"):
        if gate in launched:
            try:
                launched[gate].release()
            except RuntimeError:
                pass


def greet():
    notes = []
    if sys.gettrace() is not None:
        notes.append("the program has a trace function of its own; stepping takes its place for a while")
    body = {
        "wire": WIRE,
        "pid": os.getpid(),
        "parent": os.getppid(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "command": [str(word) for word in getattr(sys, "orig_argv", None) or getattr(sys, "argv", [])],
        "notes": notes,
    }
    return native_send(1, 0, 0, to_json(body)) and native_serve()


def before_fork():
    """3.12+ warns of a fork beside other threads; not where these are the agent's alone, which are not there in the child
    and hold nothing of Python's."""
    if sys.version_info < (3, 12) or not settings["live"]:
        return
    try:
        with open("/proc/self/stat", "rb") as file:
            count = int(file.read().rsplit(b")", 1)[1].split()[17])
        import warnings

        ours = [one for one in warnings.filters if getattr(one[1], "pattern", None) == FORK_WARNING]
        if count == 1 + AGENT_THREADS and not ours:
            warnings.filterwarnings("ignore", FORK_WARNING, DeprecationWarning)
        elif count != 1 + AGENT_THREADS:
            for one in ours:
                warnings.filters.remove(one)
    except BaseException:
        pass


def after_fork():
    """In a child: its threads are gone, and it is a process of its own in the session."""
    if not settings["live"]:
        return
    own = _thread.get_ident()
    for ident in [ident for ident in states if ident != own]:
        del states[ident]
    settings["parking"] = False
    own_threads.clear()
    launched.update(script=None, ended=True, ident=own)
    if native_reconnect():
        greet()


def take_standing():
    """What holds for every process of the session: a child has it before its first line."""
    try:
        with open(os.path.join(DIRECTORY, "standing.json"), encoding="utf-8") as file:
            standing = from_json(file.read())
    except OSError:
        return
    settings["all-stop"] = standing["all-stop"]
    for breakpoint in standing["breakpoints"]:
        set_breakpoint(breakpoint)

# Where a thread stops


def guarded(function, *arguments):
    """Calls a function of ours; an exception of its is not the program's."""
    try:
        return function(*arguments)
    except (SystemExit, Quit):
        raise
    except BaseException as error:
        import traceback

        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        say("note", text="the debugger failed: " + text)


def on_event(frame, what, argument):
    """A traced thread's event."""
    if not settings["live"]:
        native_trace(0)
        return
    ident = _thread.get_ident()
    if is_own(frame) or ident in own_threads:
        return
    state = state_of(ident)
    if not state.stepping:
        if MONITORING is None:
            run_event(state, frame, what, argument)
        return
    guarded(reach, state, frame, what, argument)


def run_event(state, frame, what, argument):
    """Up to 3.11: an event of a thread that runs."""
    if settings["parking"] or settings["pause-all"] or settings["paused"]:
        if what == LINE and wants_pause(state.ident):
            guarded(pause, state, frame)
            return
    if what == EXCEPTION:
        guarded(catch, state, frame, argument[1], argument[2])
        return
    code = frame.f_code
    if what == CALL:
        native_watch(code, 1 if look_at(code) else 0)
    elif what == LINE:
        guarded(reach, state, frame, LINE, None)


def wants_pause(ident):
    if ident in settings["paused"] or settings["pause-all"]:
        return True
    return settings["parking"] and not state_of(ident).stopped


def pause(state, frame):
    asked = state.ident in settings["paused"] or settings["pause-all"]
    settings["paused"].discard(state.ident)
    if asked and not any(other.stopped for other in states.values()):
        settings["pause-all"] = False
    # A breakpoint at this very line is not passed over for that.
    found = hit(state, frame, frame.f_lineno)
    if found:
        stop(state, frame, "breakpoint", breakpoints=found)
        return
    stop(state, frame, "pause" if asked else "parked")


def stops_here(state, frame):
    if frame is state.stop_frame:
        return state.stop_line != -1 and frame.f_lineno >= state.stop_line
    return state.stop_frame is None


def reach(state, frame, what, argument):
    """Whether a thread stops at an event; bdb's rules, so that steps are what users of pdb know."""
    if state.entry is not None:
        if what != LINE or frame.f_code is not state.entry:
            return
        state.entry = None
        stop(state, frame, "entry")
        return
    if what == LINE:
        found = hit(state, frame, frame.f_lineno)
        if found:
            stop(state, frame, "breakpoint", breakpoints=found)
        elif state.stepping and stops_here(state, frame):
            stop(state, frame, "step")
    elif what == CALL:
        if state.stop_frame is not None and frame.f_code.co_flags & GENERATOR:
            return
        if stops_here(state, frame):
            stop(state, frame, "call")
    elif what == RETURN:
        reach_return(state, frame, argument)
    elif what == EXCEPTION:
        reach_exception(state, frame, argument)


def reach_return(state, frame, argument):
    if not (stops_here(state, frame) or frame is state.return_frame):
        return
    if state.stop_frame is not None and frame.f_code.co_flags & GENERATOR:
        return
    if frame is state.base or outermost(state, frame):
        # The program ends here; there is nothing to step to.
        if frame is not state.return_frame and not state.stepping:
            return
    kept = {"__return__": argument}
    stop(state, frame, "return", value=rendered(argument), names=kept)
    if state.stop_frame is frame and state.stop_line != -1:
        state.stop_frame = state.return_frame = None
        state.stop_line = 0


def outermost(state, frame):
    return frame.f_back is None or is_own(frame.f_back)


def on_raise(code, offset, error):
    """3.12+: an exception goes through a frame."""
    ident = _thread.get_ident()
    if ident in own_threads or code.co_filename in OWN_FILES or state_of(ident).depth:
        return
    frame = sys._getframe(1)
    if not (state_of(ident).stepping and stops_here(state_of(ident), frame)):
        guarded(catch, state_of(ident), frame, error, error.__traceback__)


def catch(state, frame, error, traceback):
    """Stops where an exception of those that are wanted is raised; not again in each frame that it goes through."""
    if not exceptions_at["raised"] or traceback is None or traceback.tb_next is not None:
        return
    names = {name for kind in type(error).__mro__ for name in (kind.__name__, kind.__module__ + "." + kind.__qualname__)}
    if exceptions_at["types"]:
        if not names.intersection(exceptions_at["types"]):
            return
    elif isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit)):
        # These are how loops end.
        return
    stop_at_exception(state, frame, error, traceback)


def stop_at_exception(state, frame, error, traceback):
    state.exception = error
    state.convenience["_exception"] = error
    kept = {"__exception__": (type(error), error)}
    stop(state, frame, "exception", value=told(error), traceback=traceback, names=kept)


def reach_exception(state, frame, argument):
    kind, error, traceback = argument
    if MONITORING is None and not stops_here(state, frame):
        catch(state, frame, error, traceback)
    if stops_here(state, frame):
        ends_generator = kind is StopIteration and traceback.tb_next is None
        if frame.f_code.co_flags & GENERATOR and ends_generator:
            return
    elif state.stop_frame is not None and frame is not state.stop_frame and state.stop_frame.f_code.co_flags & GENERATOR:
        if kind not in (StopIteration, GeneratorExit):
            return
    else:
        return
    stop_at_exception(state, frame, error if isinstance(error, BaseException) else kind(error), traceback)


def task_name(frame):
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        task = asyncio.current_task()
        return None if task is None else task.get_name()
    except BaseException:
        return None


def stop(state, frame, reason, value=None, breakpoints=(), traceback=None, stack=None, names=None):
    """The thread stands here until it is told to go on."""
    if not settings["live"]:
        return
    before = (state.stack, state.index, state.locals, state.stopped)
    state.stack = stack if stack is not None else frames_of(frame)
    if traceback is not None and stack is None:
        inner = frames_of_traceback(traceback)
        # The traceback begins with this frame.
        state.stack = state.stack[:-1] + inner if inner else state.stack
    if not state.stack:
        return
    frames = [entry[0] for entry in state.stack]
    state.index = frames.index(frame) if frame in frames else len(frames) - 1
    if reason == "exception":
        state.index = max(i for i, f in enumerate(frames) if f is frame)
    state.locals = {}
    state.depth += 1
    if names:
        # What pdb adds to the frame's names.
        locals_of(state, frame).update(names)
    state.stopped = True
    state.reason = reason
    flush()
    for number in breakpoints:
        if globals()["breakpoints"].get(number, {}).get("temporary"):
            del globals()["breakpoints"][number]
            renew_breakpoints()
    park_others(state)
    sent = say(
        "stopped",
        state.ident,
        ident=state.ident,
        tid=getattr(_thread, "get_native_id", lambda: 0)(),
        name=thread_name(state.ident),
        task=task_name(frame),
        reason=reason,
        breakpoints=list(breakpoints),
        value=value,
        traceback=None if reason != "post-mortem" else traceback_text(state),
        frame=frame_info(state, state.stack[state.index]),
        index=state.index,
    )
    try:
        if sent:
            serve(state)
    finally:
        for entry in state.stack:
            if id(entry[0]) in state.locals:
                native_store(entry[0])
        state.depth -= 1
        state.stack, state.index, state.locals, state.stopped = before
    say("resumed", state.ident, ident=state.ident)
    if state.quitting:
        state.quitting = False
        raise Quit


def traceback_text(state):
    import traceback

    error = state.exception
    return "".join(traceback.format_exception(type(error), error, strip(error.__traceback__)))


def strip(traceback):
    while traceback is not None and is_own(traceback.tb_frame):
        traceback = traceback.tb_next
    return traceback


def thread_name(ident):
    threading = sys.modules.get("threading")
    if threading is not None:
        thread = getattr(threading, "_active", {}).get(ident)
        if thread is not None:
            return str(thread.name)
    return "MainThread" if ident == launched.get("ident") else ""


def park_others(state):
    if not settings["all-stop"] or settings["parking"] or state.reason == "parked":
        return
    if _thread._count() == 0 and launched.get("ident") in (None, state.ident):
        return
    settings["parking"] = True
    if MONITORING is not None:
        monitor()
    else:
        trace_all()


def unpark(state):
    """Lets the others go that stand only because this one stood."""
    if not settings["parking"]:
        return
    settings["parking"] = False
    if MONITORING is not None:
        monitor()
    else:
        trace_all()
    for other in list(states.values()):
        if other.stopped and other is not state and other.reason == "parked":
            native_post(other.ident, '{"do":"resume","how":"continue","frame":0,"others":false}')


def serve(state):
    """Answers what is asked, until the thread is told to go on."""
    while True:
        message = native_wait(state.ident)
        if not message:
            return
        number, body = message
        asked = from_json(body)
        if asked["do"] == "resume":
            resume(state, asked)
            if number:
                answer(number, state.ident, {"answer": "done"})
            return
        if asked["do"] == "debug":
            answer(number, state.ident, {"answer": "done"})
            debug_nested(state, asked)
            continue
        try:
            given = ASKED[asked["do"]](state, asked)
        except SystemExit as error:
            given = {"answer": "failed", "text": told(error)}
        except BaseException as error:
            given = {"answer": "failed", "text": told(error)}
        flush()
        answer(number, state.ident, given)


def answer(number, thread, body):
    native_send(3, number, thread, to_json(body))


def frame_at(state, asked):
    index = asked.get("frame", state.index)
    return state.stack[index][0] if 0 <= index < len(state.stack) else state.stack[-1][0]


def resume(state, asked):
    how, frame = asked["how"], frame_at(state, asked)
    state.return_frame = None
    state.stop_line = 0
    state.stepping = True
    state.interacting = None
    if how == "step":
        state.stop_frame = None
    elif how == "next":
        state.stop_frame = frame
    elif how == "return":
        if frame.f_code.co_flags & GENERATOR:
            state.stop_frame, state.stop_line = frame, -1
            state.return_frame = None
        else:
            state.stop_frame, state.return_frame = frame.f_back, frame
    elif isinstance(how, dict):
        line = how["until"] or frame.f_lineno + 1
        state.stop_frame, state.return_frame, state.stop_line = frame, frame, line
    else:
        state.stop_frame = None
        state.stepping = False
        state.quitting = how == "quit"
    if asked["others"]:
        unpark(state)
    if state.stepping:
        trace_self(1)
    elif MONITORING is not None:
        trace_self(0)
    else:
        watch_frames(state.stack[-1][0])
        trace_self(2 if by_file or settings["parking"] or exceptions_at["raised"] else 0)

# Breakpoints


def code_lines(code):
    if hasattr(code, "co_lines"):
        return {line for _, _, line in code.co_lines() if line}
    import dis

    return {line for _, line in dis.findlinestarts(code) if line}


def wanted_in(code):
    """Whether a breakpoint may be in this code."""
    file = by_file.get(canonic(code.co_filename))
    if not file:
        return False
    lines = code_lines(code)
    return any(line in lines or (line == code.co_firstlineno) for line in file)


def look_at(code):
    """Whether a breakpoint may be in this code; remembered until they change."""
    known = codes.get(id(code))
    if known is None:
        known = codes[id(code)] = (code, wanted_in(code))
    return known[1]


def renew_breakpoints():
    """After a breakpoint has come, gone or changed."""
    by_file.clear()
    for number, breakpoint in breakpoints.items():
        if breakpoint["enabled"] and breakpoint.get("file"):
            by_file.setdefault(breakpoint["file"], {}).setdefault(breakpoint["at"], []).append(number)
    codes.clear()
    if MONITORING is not None:
        monitor()
    else:
        native_watch()
        lines = {line for file in by_file.values() for line in file}
        # Where there are more than fit, every line of every thread is looked at here.
        settings["everything"] = not native_lines(*lines)
        for frame in sys._current_frames().values():
            watch_frames(frame)
        trace_all()


def watch_frames(frame):
    """Up to 3.11: looks at code that was called when nobody looked."""
    while frame is not None and by_file:
        if not is_own(frame):
            native_watch(frame.f_code, 1 if look_at(frame.f_code) else 0)
        frame = frame.f_back


def trace_all():
    """Up to 3.11: which threads are traced."""
    wanted = bool(by_file) or settings["parking"] or settings["pause-all"] or bool(settings["paused"])
    wanted = wanted or exceptions_at["raised"]
    asked = settings["parking"] or settings["pause-all"] or settings["paused"] or settings["everything"]
    # A thread that steps is told to trace less here than it has to.
    asked = asked or exceptions_at["raised"] or any(
        state.stepping and not state.stopped for state in list(states.values())
    )
    native_everything(1 if asked else 0)
    native_trace_others(2 if wanted else 0)
    own = state_of(_thread.get_ident())
    if not own.stepping:
        trace_self(2 if wanted else 0)
    threading = sys.modules.get("threading")
    if threading is not None:
        if wanted and getattr(threading, "_trace_hook", None) is None:
            threading.settrace(begin_trace)
        elif not wanted and getattr(threading, "_trace_hook", None) is begin_trace:
            threading.settrace(None)


def begin_trace(frame, event, argument):
    """A new thread's first event: from here on it is traced natively."""
    trace_self(2)
    return None


def trace_self(how):
    native_trace(how, on_event)


def tool():
    """Our number among the tools of sys.monitoring; None where all are taken."""
    if settings["tool"] is not None:
        return settings["tool"]
    for number in (0, 3, 4, 5, 1, 2):
        if MONITORING.get_tool(number) is None:
            try:
                MONITORING.use_tool_id(number, "unknot")
            except ValueError:
                continue
            MONITORING.register_callback(number, MONITORING.events.LINE, on_line)
            MONITORING.register_callback(number, MONITORING.events.RAISE, on_raise)
            settings["tool"] = number
            return number
    return None


def monitor():
    """3.12+: asks for the events that are needed now."""
    number = tool()
    if number is None:
        return
    # Every line is told of once; what has no breakpoint is then passed over at full speed. Frames of threads that run
    # need not be looked at, which without the GIL could not be done safely.
    wanted = by_file or settings["parking"] or settings["pause-all"] or settings["paused"]
    events = MONITORING.events.LINE if wanted else 0
    if exceptions_at["raised"]:
        events |= MONITORING.events.RAISE
    MONITORING.set_events(number, events)
    MONITORING.restart_events()


def on_line(code, line):
    ident = _thread.get_ident()
    state = states.get(ident)
    if ident in own_threads or state is not None and (state.stepping or state.depth):
        return None
    if code.co_filename in OWN_FILES:
        return MONITORING.DISABLE
    asked = settings["parking"] or settings["pause-all"] or settings["paused"]
    if asked and wants_pause(ident):
        guarded(pause, state_of(ident), sys._getframe(1))
        return None
    file = by_file.get(canonic(code.co_filename))
    if not file or line not in file:
        return None if asked else MONITORING.DISABLE
    guarded(reach, state_of(ident), sys._getframe(1), LINE, None)
    return None


def hit(state, frame, line):
    """The breakpoints that stop this thread here; those that only log do so."""
    file = by_file.get(canonic(frame.f_code.co_filename))
    numbers = file.get(line) if file else None
    if not numbers:
        return []
    found = []
    for number in list(numbers):
        breakpoint = breakpoints.get(number)
        if breakpoint is None or not breakpoint["enabled"]:
            continue
        thread = breakpoint.get("thread")
        if thread and thread != state.ident:
            continue
        if not at_function(breakpoint, frame):
            continue
        hits[number] = hits.get(number, 0) + (0 if breakpoint.get("condition") else 1)
        condition = breakpoint.get("condition")
        if condition:
            try:
                true = bool(eval(breakpoint["code"], frame.f_globals, frame.f_locals))
            except BaseException:
                # Better to stop once too often.
                true = True
            if not true:
                continue
            hits[number] = hits.get(number, 0) + 1
        if breakpoint["ignore"] > 0:
            breakpoint["ignore"] -= 1
            continue
        if breakpoint.get("log") is not None:
            say("log", state.ident, breakpoint=number, text=log_text(breakpoint["log"], frame))
            continue
        found.append(number)
    return found


def at_function(breakpoint, frame):
    """A breakpoint on a function is hit where its body begins, not at its `def`."""
    name = breakpoint.get("function")
    if not name:
        return True
    return frame.f_code.co_name == name.rsplit(".", 1)[-1]


def log_text(template, frame):
    try:
        return str(eval("f" + repr(template), frame.f_globals, frame.f_locals))
    except BaseException as error:
        return template + " (" + told(error) + ")"


def find_file(name):
    """A file as pdb looks for it: as it is, with .py, along sys.path."""
    if name.startswith("<") and name.endswith(">"):
        return name
    script = launched["main"]
    if script and os.path.basename(script) == name:
        return canonic(script)
    candidates = [name] if name.endswith((".py", ".pyw")) else [name, name + ".py"]
    for candidate in candidates:
        if os.path.isabs(candidate):
            if os.path.exists(candidate):
                return canonic(candidate)
            continue
        for directory in [""] + [d for d in sys.path if isinstance(d, str)]:
            path = os.path.join(directory, candidate)
            if os.path.isfile(path):
                return canonic(os.path.realpath(path) if os.path.islink(directory) else path)
    return None


def lines_with_code(file):
    """The lines of a file that have code, and None where it does not compile."""
    text = "".join(linecache.getlines(file))
    try:
        todo = [compile(text, file, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError):
        return None
    found = set()
    while todo:
        code = todo.pop()
        found |= code_lines(code)
        todo.extend(const for const in code.co_consts if hasattr(const, "co_firstlineno"))
    return found


def resolve(place, near):
    """Where a breakpoint is to be: what session::protocol::Resolved has, without the number."""
    kind, value = next(iter(place.items()))
    if kind == "function":
        return resolve_function(value, near)
    if kind == "here":
        ident, index, line = value
        state = states.get(ident)
        if state is None or index >= len(state.stack):
            return {"error": "No frame"}
        frame = state.stack[index][0]
        return resolve_line(canonic(frame.f_code.co_filename), line, frame.f_globals)
    name, line = value
    file = find_file(name)
    if file is None:
        return {"file": None, "line": line, "error": "%r not found from sys.path" % name}
    return resolve_line(file, line, None)


def resolve_line(file, line, frame_globals):
    text = source_line(file, line, frame_globals)
    if not text:
        return {"file": file, "line": line, "error": "End of file"}
    stripped = text.strip()
    if stripped and not stripped.startswith(("#", '"""', "'''")):
        return {"file": file, "line": line, "at": line}
    found = lines_with_code(file) or ()
    later = [number for number in found if number > line]
    if not later:
        return {"file": file, "line": line, "error": "Blank or comment"}
    return {"file": file, "line": min(later), "error": "Blank or comment"}


def resolve_function(name, near):
    module_name, _, plain = name.rpartition(":")
    value = None
    main = sys.modules.get("__main__")
    if module_name:
        module = sys.modules.get(module_name)
        scopes = [(vars(module), None)] if module is not None else []
    else:
        scopes = [(near.f_globals, near.f_locals)] if near is not None else []
        if main is not None:
            scopes.append((vars(main), None))
    for scope_globals, scope_locals in scopes:
        try:
            value = eval(plain, scope_globals, scope_locals)
            break
        except BaseException:
            value = None
    if value is None and not module_name and "." in plain:
        head, _, rest = plain.partition(".")
        module = sys.modules.get(head)
        try:
            value = eval("_." + rest, {"_": module}) if module is not None else None
        except BaseException:
            value = None
    for attribute in ("__wrapped__", "__func__", "fget"):
        if not hasattr(value, "__code__") and hasattr(value, attribute):
            value = getattr(value, attribute)
    code = getattr(value, "__code__", None)
    if code is None:
        return resolve_by_text(plain, near) or {"file": None, "line": 0, "error": "The specified object %r is not a function or was not found along sys.path." % name}
    file = canonic(code.co_filename)
    return {"file": file, "line": first_body_line(code), "function": code.co_name, "at": first_body_line(code)}


def first_body_line(code):
    """The first line behind the `def` that has code."""
    lines = sorted(line for line in code_lines(code) if line > code.co_firstlineno)
    return lines[0] if lines else code.co_firstlineno


def resolve_by_text(name, near):
    """A function that does not exist yet, by its `def` in the file that is looked at, or of the script."""
    import re

    files = [near.f_code.co_filename] if near is not None else []
    if launched["main"]:
        files.append(launched["main"])
    pattern = re.compile(r"\s*(?:async\s+)?def\s+%s\s*[(\[]" % re.escape(name))
    for file in files:
        lines = linecache.getlines(file)
        for number, text in enumerate(lines, 1):
            if pattern.match(text):
                found = lines_with_code(canonic(file)) or set()
                body = [line for line in found if line > number]
                line = min(body) if body else number
                return {"file": canonic(file), "line": line, "function": name, "at": line}
    return None


def set_breakpoint(asked):
    stopped = [state for state in states.values() if state.stopped and state.stack]
    near = stopped[-1].stack[stopped[-1].index][0] if stopped else None
    number = asked["id"]
    known = breakpoints.get(number)
    if known is not None and known["place"] == asked["place"]:
        resolved = known["resolved"]
    else:
        resolved = resolve(asked["place"], near)
    breakpoint = dict(asked)
    breakpoint["resolved"] = resolved
    breakpoint["at"] = resolved["line"]
    breakpoint["file"] = resolved.get("file")
    breakpoint["function"] = resolved.get("function")
    condition = asked.get("condition")
    if condition:
        try:
            breakpoint["code"] = compile(condition, "<condition>", "eval", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            return {"answer": "failed", "text": "Invalid condition %s: %s" % (condition, told(error))}
    breakpoints[number] = breakpoint
    renew_breakpoints()
    answer = {key: resolved.get(key) for key in ("file", "line", "function", "error")}
    answer.update(answer="resolved", id=number)
    return answer

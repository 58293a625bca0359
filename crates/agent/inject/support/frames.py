# Frames


def is_own(frame):
    return frame.f_code.co_filename in OWN_FILES


def source_line(file, line, frame_globals=None):
    try:
        lines = source_lines(file, frame_globals)
        return lines[line - 1] if 0 < line <= len(lines) else ""
    except BaseException:
        return ""


def source_lines(file, frame_globals):
    """The lines of a file; a frozen module's are where it says itself that they are."""
    lines = linecache.getlines(file, frame_globals)
    if not lines and file.startswith("<frozen ") and isinstance((frame_globals or {}).get("__file__"), str):
        lines = linecache.getlines(frame_globals["__file__"])
    return lines


def frame_info(state, entry):
    frame, line, raised = entry
    code = frame.f_code
    return {
        "file": canonic(code.co_filename),
        "line": line or 0,
        "function": code.co_name or "<lambda>",
        "qualname": getattr(code, "co_qualname", code.co_name),
        "first_line": code.co_firstlineno,
        "source": source_line(code.co_filename, line, frame.f_globals).strip() if line else "",
        "returns": shown_return(state, frame),
        "key": id(frame),
        "hidden": is_hidden(frame),
        "raised_line": raised,
    }


def shown_return(state, frame):
    """`__return__` of a frame that has returned, as pdb shows it behind the frame."""
    import reprlib

    names = locals_of(state, frame) if id(frame) in state.locals else {}
    if frame.f_code.co_name == "<module>" and not names:
        names = frame.f_globals
    if "__return__" not in names:
        return None
    try:
        return reprlib.repr(names["__return__"])
    except BaseException as error:
        return "*** repr failed: " + told(error) + " ***"


def is_hidden(frame):
    file = frame.f_code.co_filename
    if file.startswith("<frozen importlib") or "/site-packages/" in file or "/dist-packages/" in file:
        return True
    try:
        return "__tracebackhide__" in frame.f_locals
    except BaseException:
        return False


def frames_of(frame, base=None):
    found = []
    while frame is not None and frame is not base:
        if not is_own(frame):
            found.append((frame, frame.f_lineno, None))
        frame = frame.f_back
    found.reverse()
    return found


def frames_of_traceback(traceback):
    found = []
    while traceback is not None:
        frame = traceback.tb_frame
        if not is_own(frame):
            found.append((frame, traceback.tb_lineno, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found


def locals_of(state, frame):
    """The same dict for as long as the thread stands: up to 3.12 each access to f_locals makes it anew."""
    if state.depth == 0:
        return frame.f_locals
    known = state.locals.get(id(frame))
    if known is None:
        known = state.locals[id(frame)] = frame.f_locals
    return known

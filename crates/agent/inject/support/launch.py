# Running what was launched


def run(kind, target, arguments):
    """Runs a script, module or code as Python would have, and stands before its first line."""
    code, names, error = None, {}, None
    try:
        code, names = prepare(kind, target, arguments)
    except BaseException as problem:
        error = problem
    launched["gate"].acquire()
    if error is not None:
        finish_with(error)
    import __main__

    main = __main__.__dict__
    keep = {"__builtins__": main["__builtins__"]}
    main.clear()
    main.update({"__name__": "__main__", "__doc__": None, "__package__": None, "__spec__": None, "__loader__": None})
    main.update(keep)
    main.update(names)
    state = state_of(launched["ident"])
    if settings["live"]:
        state.stepping = True
        state.entry = code
        install_interrupt()
        hook_breakpoint()
    try:
        if settings["live"]:
            trace_self(1)
        exec(code, main)
    except Quit:
        native_trace(0)
        state.stepping = False
        finish_with(None)
        return
    except BaseException as problem:
        native_trace(0)
        state.stepping = False
        finish_with(problem)
    native_trace(0)
    state.stepping = False
    finish_with(None)


def first_on_path(directory):
    """What the interpreter itself puts first on sys.path, which is where our own file was; PYTHONSAFEPATH keeps it away."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = directory


def is_archive(target):
    """Whether it is a directory or a zip file, of which the interpreter runs `__main__`."""
    if os.path.isdir(target):
        return True
    import zipimport

    try:
        zipimport.zipimporter(target)
    except ImportError:
        return False
    return True


def prepare(kind, target, arguments):
    if kind == "script" and is_archive(target):
        import runpy

        sys.argv[:] = [target] + arguments
        if getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, target)
        else:
            sys.path[0] = target
        try:
            name, spec, code = runpy._get_main_module_details()
        except runpy._Error as error:
            raise ImportError(str(error))
        launched["main"] = canonic(code.co_filename)
        return code, {
            "__file__": code.co_filename,
            "__package__": spec.parent,
            "__spec__": spec,
            "__loader__": spec.loader,
        }
    if kind == "script":
        # As the interpreter itself does.
        sys.argv[:] = [target] + arguments
        first_on_path(os.path.dirname(os.path.realpath(target)))
        import io

        with io.open_code(os.path.abspath(target)) as file:
            text = file.read()
        launched["main"] = canonic(os.path.abspath(target))
        code = compile(text, launched["main"], "exec", dont_inherit=True)
        return code, {"__file__": target}
    if kind == "module":
        import runpy

        sys.argv[:] = [target] + arguments
        first_on_path(os.getcwd())
        try:
            name, spec, code = runpy._get_module_details(target)
        except runpy._Error as error:
            raise ImportError(str(error))
        sys.argv[0] = spec.origin or target
        launched["main"] = canonic(code.co_filename)
        return code, {
            "__file__": spec.origin,
            "__package__": spec.parent,
            "__spec__": spec,
            "__loader__": spec.loader,
        }
    sys.argv[:] = ["-c"] + arguments
    first_on_path("")
    lines = target.splitlines(True)
    linecache.cache["<string>"] = (len(target), None, lines, "<string>")
    launched["main"] = "<string>"
    return compile(target, "<string>", "exec", dont_inherit=True), {}


def finish_with(error):
    """The script is over: says so, and ends the process when the session lets it."""
    flush()
    code, exit_text = 0, None
    if isinstance(error, SystemExit):
        exit_text = "The program exited via sys.exit(). Exit status: %s" % (error.code if not isinstance(error.code, str) else error.code)
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
    elif error is not None:
        code = 1
        post_mortem(error)
    if settings["live"]:
        say("finished", launched["ident"], code=max(min(int(code), 0x7FFFFFFF), -0x80000000), exit=exit_text)
        launched["end"].acquire()
    if error is None:
        return
    if isinstance(error, SystemExit):
        raise error
    if not settings["live"] or not launched["ended"]:
        import traceback

        traceback.print_exception(type(error), error, strip(error.__traceback__))
    sys.exit(1)


def post_mortem(error):
    if not settings["live"]:
        return
    state = state_of(launched["ident"])
    state.exception = error
    state.convenience["_exception"] = error
    chain, current = [], error
    while current is not None and current not in chain:
        chain.append(current)
        after = current.__cause__
        if after is None and not current.__suppress_context__:
            after = current.__context__
        current = after
    chain.reverse()
    state.exceptions = chain
    stack = frames_of_traceback(error.__traceback__)
    if isinstance(error, SyntaxError) and not stack:
        say("note", text="".join(__import__("traceback").format_exception_only(type(error), error)))
        return
    if stack:
        launched["ended"] = True
        stop(state, stack[-1][0], "post-mortem", value=told(error), stack=stack)


def install_interrupt():
    """Ctrl-C stops the program where it is, as pdb has it, unless the program has a handler of its own."""
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, on_interrupt)
    except (ValueError, ImportError):
        pass


def on_interrupt(number, frame):
    if not settings["live"]:
        raise KeyboardInterrupt
    while frame is not None and is_own(frame):
        frame = frame.f_back
    state = state_of(_thread.get_ident())
    if frame is not None and not state.stopped:
        guarded(stop, state, frame, "pause")


def hook_breakpoint():
    """`breakpoint()` stops here, unless the environment names another debugger."""
    if os.environ.get("PYTHONBREAKPOINT") is None and sys.breakpointhook is sys.__breakpointhook__:
        sys.breakpointhook = on_breakpoint


def on_breakpoint(*arguments, **more):
    if not settings["live"]:
        return sys.__breakpointhook__(*arguments, **more)
    frame = sys._getframe(1)
    state = state_of(_thread.get_ident())
    # As pdb's set_trace: it stops at the next line, or where the function returns.
    if sys.version_info >= (3, 13):
        guarded(stop, state, frame, "trace")
    else:
        state.stepping, state.stop_frame, state.return_frame, state.stop_line = True, None, None, 0
        trace_self(1)


hand = sys.__dict__.get("_unknot_hand")
if MONITORING is None:
    # New threads are traced by its hook. This is the main thread as a rule, which has to be the first to import it.
    import threading  # noqa: F401
if hand is not None:
    launched["ident"] = _thread.get_ident()
    for gate in ("gate", "end"):
        launched[gate] = _thread.allocate_lock()
        launched[gate].acquire()
    hand.append(run)
else:
    hook_breakpoint()
    guarded(take_standing)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_child=after_fork)
greet()

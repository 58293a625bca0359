# What is asked of a stopped thread


def give_stack(state, asked):
    frames = [frame_info(state, entry) for entry in state.stack]
    return {"answer": "stack", "frames": frames, "index": state.index}


def text_answer(text):
    return {"answer": "text", "text": text}


def with_names(state, text, frame):
    """`$name` becomes a look into the names that the user has set in this session."""
    names = state.convenience
    names["_frame"] = frame
    if "__return__" in locals_of(state, frame):
        names["_retval"] = locals_of(state, frame)["__return__"]
    if "$" not in text:
        return text, frame.f_globals
    import re
    import tokenize
    import io

    try:
        # Not within strings.
        inside = []
        for token in tokenize.generate_tokens(io.StringIO(text.replace("$", "_")).readline):
            if token.type == tokenize.STRING:
                inside.append((token.start, token.end))
    except (SyntaxError, tokenize.TokenError, IndentationError):
        inside = []

    def replace(match):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - (text.rfind("\n", 0, match.start()) + 1)
        if any(start <= (line, column) < end for start, end in inside):
            return match.group(0)
        return '__pdb_convenience_variables["%s"]' % match.group(1)

    changed = re.sub(r"\$([A-Za-z_]\w*)", replace, text)
    frame.f_globals["__pdb_convenience_variables"] = names
    return changed, frame.f_globals


def evaluate(state, frame, text):
    text, frame_globals = with_names(state, text, frame)
    try:
        value = eval(text, frame_globals, locals_of(state, frame))
        return value
    finally:
        frame_globals.pop("__pdb_convenience_variables", None)


def do_evaluate(state, asked):
    frame = frame_at(state, asked)
    text = asked["text"]
    if text.lstrip().startswith("await ") or " await " in text:
        return text_answer(rendered(run_awaiting(state, frame, text)))
    value = evaluate(state, frame, text)
    if asked.get("pretty"):
        import pprint

        return text_answer(pprint.pformat(value))
    return text_answer(repr(value))


def run_awaiting(state, frame, text):
    """The value of an expression with `await`: its coroutine is driven by hand, as far as it needs no loop."""
    import ast

    tree = ast.parse(text.strip(), "<stdin>", "eval")
    flags = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0x2000)
    code = compile(tree, "<stdin>", "eval", flags=flags, dont_inherit=True)
    coroutine = eval(code, frame.f_globals, locals_of(state, frame))
    try:
        while True:
            coroutine.send(None)
            raise RuntimeError("what is awaited needs the event loop, which stands still; step over the statement instead")
    except StopIteration as stop:
        return stop.value


def do_execute(state, asked):
    frame = frame_at(state, asked)
    text, frame_globals = with_names(state, asked["text"], frame)
    frame_locals = locals_of(state, frame)
    shown = []

    def show(value):
        if value is not None:
            shown.append(repr(value))

    hook = sys.displayhook
    sys.displayhook = show
    try:
        code = compile(text + "\n", "<stdin>", "single", dont_inherit=True)
        names = code_names(code)
        if needs_cells(code) and frame_locals is not frame_globals:
            run_with_cells(code, text, frame_globals, frame_locals, names)
        else:
            exec(code, frame_globals, frame_locals)
    finally:
        sys.displayhook = hook
        frame_globals.pop("__pdb_convenience_variables", None)
        if frame_locals is not frame_globals:
            native_store(frame)
    return text_answer("\n".join(shown) if shown else None)


def code_names(code):
    return set(code.co_names)


def needs_cells(code):
    """Whether there are functions in it that may use the frame's variables."""
    return any(hasattr(const, "co_code") for const in code.co_consts)


def run_with_cells(code, text, frame_globals, frame_locals, names):
    """Executes code whose functions and comprehensions see the frame's variables, as they would in the program.

    It is made the body of a function with these variables as its own.
    """
    import ast

    tree = ast.parse(text + "\n", "<stdin>", "single")
    variables = [name for name in frame_locals if name.isidentifier() and not name.startswith("__pdb_")]
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    free = {name for name in variables}
    source_names = sorted(free | {name for name in assigned if name.isidentifier()})
    body = []
    last = tree.body[-1] if tree.body else None
    for node in tree.body:
        if node is last and isinstance(node, ast.Expr):
            call = ast.Call(ast.Name("__unknot_show__", ast.Load()), [node.value], [])
            node = ast.copy_location(ast.Expr(call), node)
        body.append(node)
    template = ast.parse("def __unknot_run__(__unknot_in__, __unknot_show__):\n  pass\n")
    function = template.body[0]
    setup = ast.parse(
        "\n".join(
            "if %r in __unknot_in__: %s = __unknot_in__[%r]" % (name, name, name) for name in source_names
        )
        or "pass"
    ).body
    finish = ast.parse("__unknot_out__(locals())").body
    function.args.args.append(ast.arg("__unknot_out__", None))
    function.body = setup + [ast.Try(body or [ast.Pass()], [], [], finish)]
    module = ast.fix_missing_locations(ast.Module([function], []))
    scope = {}
    exec(compile(module, "<stdin>", "exec", dont_inherit=True), frame_globals, scope)

    def back(values):
        for name, value in values.items():
            if not name.startswith("__unknot_"):
                frame_locals[name] = value

    scope["__unknot_run__"](dict(frame_locals), sys.displayhook, back)


def do_compile(state, asked):
    import codeop

    try:
        code = codeop.compile_command(asked["text"], "<stdin>", "single")
    except (SyntaxError, ValueError, OverflowError) as error:
        return {"answer": "failed", "text": told(error)}
    return text_answer("more" if code is None else "whole")


def do_whatis(state, asked):
    value = evaluate(state, frame_at(state, asked), asked["text"])
    code = None
    try:
        code = value.__func__.__code__
    except BaseException:
        pass
    if code is not None:
        return text_answer("Method %s" % code.co_name)
    try:
        code = value.__code__
    except BaseException:
        pass
    if code is not None:
        return text_answer("Function %s" % code.co_name)
    if value.__class__ is type:
        return text_answer("Class %s.%s" % (value.__module__, value.__qualname__))
    return text_answer(str(type(value)))


def variable(name, value):
    return {"name": name, "type": type(value).__name__, "value": rendered(value)}


def do_arguments(state, asked):
    frame = frame_at(state, asked)
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & 4) + bool(code.co_flags & 8)
    names = locals_of(state, frame)
    found = []
    for name in code.co_varnames[:count]:
        if name in names:
            found.append(variable(name, names[name]))
        else:
            found.append({"name": name, "type": "", "value": "*** undefined ***"})
    return {"answer": "variables", "variables": found}


def do_variables(state, asked):
    frame = frame_at(state, asked)
    names = frame.f_globals if asked.get("globals") else locals_of(state, frame)
    found = [variable(str(name), value) for name, value in list(names.items()) if name != "__builtins__"]
    return {"answer": "variables", "variables": found}


def do_source(state, asked):
    import inspect

    frame = frame_at(state, asked)
    text = asked.get("object")
    if text:
        value = evaluate(state, frame, text)
        lines, first = inspect.getsourcelines(value)
        file = inspect.getsourcefile(value) or ""
        return source_answer(file, max(first, 1), lines, None, None)
    entry = state.stack[asked["frame"]] if asked["frame"] < len(state.stack) else state.stack[-1]
    code = frame.f_code
    lines = source_lines(code.co_filename, frame.f_globals)
    if asked.get("function") and code.co_name != "<module>":
        first = code.co_firstlineno
        lines = inspect.getblock(lines[first - 1 :])
    else:
        first = 1
    if not lines:
        raise OSError("could not get source code")
    raised = entry[2]
    current = frame.f_lineno if raised is not None else entry[1]
    return source_answer(code.co_filename, first, lines, current, raised)


def source_answer(file, first, lines, current, raised):
    return {
        "answer": "source",
        "file": canonic(file) if file else "",
        "first": first,
        "lines": [line.rstrip("\r\n") for line in lines],
        "current": current,
        "raised": raised,
    }


def do_complete(state, asked):
    import rlcompleter

    frame = frame_at(state, asked)
    names = dict(frame.f_globals)
    names.update(locals_of(state, frame))
    completer = rlcompleter.Completer(names)
    text = asked["text"]
    found = []
    for index in range(500):
        name = completer.complete(text, index)
        if name is None:
            break
        found.append(name)
    return {"answer": "names", "names": found}


def do_jump(state, asked):
    if state.index + 1 != len(state.stack):
        raise ValueError("You can only jump within the bottom frame")
    frame = state.stack[-1][0]
    try:
        frame.f_lineno = asked["line"]
    except ValueError as error:
        return {"answer": "failed", "text": "Jump failed: %s" % error}
    state.stack[-1] = (frame, asked["line"], None)
    return give_stack(state, asked)


def do_exceptions(state, asked):
    errors = state.exceptions
    chain = [[rendered(error), error.__traceback__ is not None] for error in errors]
    current = [index for index, error in enumerate(errors) if error is state.exception]
    return {"answer": "chain", "exceptions": chain, "index": current[0] if current else len(errors) - 1}


def do_exception(state, asked):
    index = asked["index"]
    if not 0 <= index < len(state.exceptions):
        raise IndexError("No exception with that number")
    error = state.exceptions[index]
    if error.__traceback__ is None:
        raise ValueError("This exception does not have a traceback, cannot jump to it")
    state.exception = error
    state.convenience["_exception"] = error
    state.stack = frames_of_traceback(error.__traceback__)
    state.index = len(state.stack) - 1
    return give_stack(state, asked)


def do_interact(state, asked):
    import codeop

    frame = frame_at(state, asked)
    if state.interacting is None:
        names = dict(frame.f_globals)
        names.update(locals_of(state, frame))
        state.interacting = names
    code = codeop.compile_command(asked["text"], "<console>", "single")
    if code is None:
        return text_answer("more")
    shown = []
    hook = sys.displayhook
    sys.displayhook = lambda value: None if value is None else shown.append(repr(value))
    try:
        exec(code, state.interacting)
    except SystemExit:
        raise
    except BaseException as error:
        import traceback

        trace = error.__traceback__
        text = "".join(traceback.format_exception(type(error), error, trace.tb_next if trace else None))
        return {"answer": "failed", "text": text.rstrip("\n")}
    finally:
        sys.displayhook = hook
    return text_answer("\n".join(shown) if shown else None)


def do_interacted(state, asked):
    state.interacting = None
    return {"answer": "done"}


def debug_nested(state, asked):
    """Code under the debugger, on top of a stop: its first line is stopped at."""
    frame = frame_at(state, asked)
    kept = (state.stepping, state.stop_frame, state.return_frame, state.stop_line, state.depth)
    failure = None
    try:
        code = compile(asked["text"], "<string>", "exec", dont_inherit=True)
        state.stepping, state.stop_frame, state.return_frame, state.stop_line = True, None, None, 0
        state.depth = 0
        # As a program's first line: the call of the code itself is no stop.
        state.entry = code

        def run():
            trace_self(1)
            exec(code, frame.f_globals, locals_of(state, frame))

        sys.call_tracing(run, ())
    except Quit:
        pass
    except BaseException as error:
        failure = told(error)
    finally:
        state.stepping, state.stop_frame, state.return_frame, state.stop_line, state.depth = kept
        state.entry = None
        trace_self(1 if state.stepping else 0)
    say(
        "stopped",
        state.ident,
        ident=state.ident,
        tid=0,
        name=thread_name(state.ident),
        reason="back",
        value=failure,
        breakpoints=[],
        frame=frame_info(state, state.stack[state.index]),
        index=state.index,
    )


ASKED = {
    "stack": give_stack,
    "jump": do_jump,
    "execute": do_execute,
    "evaluate": do_evaluate,
    "compile": do_compile,
    "what-is": do_whatis,
    "arguments": do_arguments,
    "variables": do_variables,
    "source": do_source,
    "complete": do_complete,
    "exceptions": do_exceptions,
    "exception": do_exception,
    "interact": do_interact,
    "interacted": do_interacted,
}

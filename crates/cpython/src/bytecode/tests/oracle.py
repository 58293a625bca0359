"""Prints what this interpreter itself says about the code of some large modules of its library, for comparison.

    code NAME              a code object begins
    facts STACKSIZE NLOCALS FIRSTLINE
    bytes|exceptions|lines HEX
    names|locals|consts    tab-separated
    line OFFSET LINE       (0: none) for each instruction
    position OFFSET LINE END COLUMN ENDCOLUMN
    effect OFFSET FALL JUMP   by dis.stack_effect
    with LINE END COLUMN ENDCOLUMN DEPTH  a call at this place runs inside so many `with` items
    at OFFSET TEXT         a frame was seen there (programs.py)
"""
import ast, dis, importlib.util, sys

MODULES = sys.argv[1:]
VERSION = sys.version_info[:2]


def locals_of(code):
    if VERSION < (3, 11):
        return code.co_varnames + code.co_cellvars + code.co_freevars
    cells = tuple(name for name in code.co_cellvars if name not in code.co_varnames)
    return code.co_varnames + cells + code.co_freevars


def effect(op, arg, jump):
    try:
        return dis.stack_effect(op, arg if op >= dis.HAVE_ARGUMENT or VERSION >= (3, 13) else None, jump=jump)
    except ValueError:
        return 99


def dump(code, calls, inner=True):
    print('code', code.co_name, code.co_firstlineno)
    print('facts', code.co_stacksize, code.co_nlocals, code.co_firstlineno)
    print('bytes', (code._co_code_adaptive if VERSION >= (3, 11) else code.co_code).hex())
    print('exceptions', code.co_exceptiontable.hex() if VERSION >= (3, 11) else '')
    print('lines', (code.co_linetable if VERSION >= (3, 10) else code.co_lnotab).hex())
    print('names', '\t'.join(code.co_names))
    print('locals', '\t'.join(locals_of(code)))
    print('consts', '\t'.join(repr(c).replace('\t', ' ').replace('\n', ' ')[:40] for c in code.co_consts))
    if VERSION >= (3, 10):
        for start, end, line in code.co_lines():
            for offset in range(start, end, 2):
                print('line', offset, line or 0)
    else:
        starts, line = dict(dis.findlinestarts(code)), code.co_firstlineno
        for offset in range(0, len(code.co_code), 2):
            line = starts.get(offset, line)
            print('line', offset, line)
    if VERSION >= (3, 11):
        for index, place in enumerate(code.co_positions()):
            line, end, column, end_column = (-1 if part is None else part for part in place)
            print('position', index * 2, line, end, column, end_column)
    for instruction in dis.get_instructions(code):
        op, arg = instruction.opcode, instruction.arg or 0
        print('effect', instruction.offset, effect(op, arg, False), effect(op, arg, True), instruction.opname)
    for place in calls.get((code.co_name, code.co_firstlineno), ()):
        print('with', *place)
    for constant in code.co_consts if inner else ():
        if hasattr(constant, 'co_code'):
            dump(constant, calls)


class Calls(ast.NodeVisitor):
    """Calls inside functions, with the number of `with` items around each."""

    def __init__(self):
        self.found, self.key, self.depth = {}, None, 0

    def visit_function(self, node):
        outside = self.key, self.depth
        first = min([node.lineno] + [d.lineno for d in node.decorator_list])
        self.key, self.depth = (node.name, first), 0
        for statement in node.body:
            self.visit(statement)
        self.key, self.depth = outside

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function

    def visit_with(self, node):
        for item in node.items:
            self.visit(item.context_expr)
            self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= len(node.items)

    visit_With = visit_AsyncWith = visit_with

    def skip(self, node):
        pass

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ClassDef = skip

    def visit_ClassDef(self, node):
        outside = self.key, self.depth
        self.key = None
        self.generic_visit(node)
        self.key, self.depth = outside

    def visit_Call(self, node):
        if self.key is not None:
            place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset, self.depth)
            self.found.setdefault(self.key, []).append(place)
        self.generic_visit(node)


for name in MODULES:
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        continue
    if spec is None or not spec.origin or not spec.origin.endswith('.py'):
        continue
    with open(spec.origin, 'rb') as file:
        source = file.read()
    calls = Calls()
    calls.visit(ast.parse(source))
    dump(compile(source, name, 'exec'), calls.found)

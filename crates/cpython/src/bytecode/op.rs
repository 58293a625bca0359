//! What each opcode does to the value stack and to the flow of control, whatever its number and version.

/// The meaning of an opcode. Arguments that are packed into the instruction's argument are described per
/// variant; `Plain` covers every opcode whose results nobody needs to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// No such opcode in this version: nothing after it can be trusted.
    Invalid,
    /// JIT-compiled code stands in place of an instruction, which only the executor knows.
    EnterExecutor,
    /// No effect on stack or flow.
    Nop,
    /// `RESUME`: like `Nop`; marks where a suspended frame goes on.
    Resume,
    /// Prefix of the next instruction's argument.
    ExtendedArg,
    /// Pops the first number of values, pushes the second number.
    Plain(u8, u8),
    /// Pops so many values for a given argument, pushes one.
    Build(Count),
    /// Pops one value, pushes so many for a given argument.
    Unpack(Count),
    Pop,
    /// `ROT_TWO`, `ROT_THREE`, `ROT_FOUR`.
    Rotate(u8),
    RotateArg,
    Dup,
    DupTwo,
    /// Exchanges the top with the value that the argument counts down to.
    Swap,
    /// Pushes the value that the argument counts down to.
    Copy,
    PushNull,
    LoadConst,
    LoadSmallInt,
    LoadCommon,
    LoadFast,
    /// Two locals, in the high and low four bits.
    LoadFastTwo,
    StoreFast,
    /// Stores into the high four bits' local, loads the low four bits'.
    StoreFastLoadFast,
    /// Stores the top into the high four bits' local, the next into the low four bits'.
    StoreFastTwo,
    DeleteFast,
    LoadClosure,
    LoadDeref,
    StoreDeref,
    DeleteDeref,
    LoadName,
    StoreName,
    /// Lowest bit of the argument: a NULL as well (3.11+).
    LoadGlobal,
    StoreGlobal,
    /// Lowest bit of the argument: as a method pair (3.12+).
    LoadAttr,
    LoadMethod,
    StoreAttr,
    DeleteAttr,
    /// Lowest bit of the argument: as a method pair.
    LoadSuperAttr,
    LoadSpecial,
    Subscript,
    /// Binary operator: index among CPython's `_nb_ops`.
    Binary(u8),
    /// The same, index in the argument.
    BinaryArg,
    Compare,
    Unary(Unary),
    Bool,
    ImportName,
    ImportFrom,
    /// `GET_ITER` and its like, one value for one.
    GetIter,
    /// `GET_ITER` of 3.15: the iterator and an index or NULL.
    GetIterPair,
    ForIter,
    EndFor,
    Await,
    /// `YIELD_FROM`: sends to the second, yields or goes on with the result.
    YieldFrom,
    Send,
    EndSend,
    CleanupThrow,
    Yield,
    Return,
    ReturnConst,
    ReturnGenerator,
    /// Raises; never goes on.
    Raise,
    Jump(Target),
    /// Pops and jumps, or pops and goes on.
    PopJump(Target, Condition),
    /// Jumps and keeps the top, or pops it and goes on.
    JumpOrPop(Target, Condition),
    /// Pops two, jumps or goes on.
    JumpNotMatch(Target),
    SetupFinally,
    SetupWith,
    SetupAsyncWith,
    BeforeWith,
    BeforeAsyncWith,
    PopBlock,
    /// 3.8: enters the finally body without an exception.
    BeginFinally,
    /// 3.8: calls the finally body as a subroutine.
    CallFinally,
    EndFinally,
    PopFinally,
    WithCleanupStart,
    WithCleanupFinish,
    WithExceptStart,
    PushExcInfo,
    PopExcept,
    EndAsyncFor,
    Call(CallForm),
    /// `KW_NAMES`: names for the call that follows.
    KwNames,
}

/// How many values an argument stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// The argument itself.
    Arg,
    /// The argument and one more.
    ArgPlusOne,
    /// Twice the argument.
    TwiceArg,
    /// `BUILD_SLICE` up to 3.13: three for 3, else two.
    Slice,
    /// `FORMAT_VALUE`: two if bit 2 is set.
    Format,
    /// `BUILD_INTERPOLATION`: two, three if bit 0 is set.
    Interpolation,
    /// `MAKE_FUNCTION`: a fixed number and one per flag.
    Function(u8),
    /// `UNPACK_EX`: both bytes and the list.
    Starred,
}

/// How a jump's argument tells its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Absolute,
    Forward,
    Backward,
}

/// When a conditional jump is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    True,
    False,
    None,
    NotNone,
}

/// A unary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `+x`
    Positive,
    /// `-x`
    Negative,
    /// `not x`
    Not,
    /// `~x`
    Invert,
}

/// What a call instruction finds on the stack, from below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallForm {
    /// Callable, arguments.
    Function,
    /// Callable, arguments, tuple of names.
    FunctionKw,
    /// Method pair, arguments.
    Method,
    /// Method pair, arguments; the call itself follows (`PRECALL` of 3.11, whose specialised forms do call).
    Pre,
    /// Method pair, arguments, tuple of names.
    MethodKw,
    /// Callable, tuple, with bit 0 a dict.
    Spread,
    /// NULL, callable (3.11–3.12) or callable, NULL (3.13), tuple, with bit 0 a dict.
    SpreadNull,
    /// Callable, NULL, tuple, dict or NULL (3.14+).
    SpreadBoth,
    /// `CALL_INTRINSIC_*`: so many arguments.
    Intrinsic(u8),
}

/// CPython's own order of binary operators (`opcode._nb_ops`, 3.11+); the in-place ones follow in the same order.
pub(super) const OPERATORS: [&str; 13] = [
    "+", "&", "//", "<<", "@", "*", "%", "|", "**", ">>", "-", "/", "^",
];

/// The sign of a [`Value::Binary`](super::Value)'s operator.
pub fn operator_text(operator: u8) -> &'static str {
    OPERATORS.get(usize::from(operator)).copied().unwrap_or("?")
}

/// `NB_SUBSCR` of 3.14+: the index that stands for `x[y]`.
pub(super) const OPERATOR_SUBSCRIPT: u32 = 26;

/// The operator named by `BINARY_*` or `INPLACE_*` up to 3.10.
fn operator(name: &str) -> Option<u8> {
    let name = name
        .strip_prefix("BINARY_")
        .or_else(|| name.strip_prefix("INPLACE_"))?;
    let names = [
        "ADD",
        "AND",
        "FLOOR_DIVIDE",
        "LSHIFT",
        "MATRIX_MULTIPLY",
        "MULTIPLY",
        "MODULO",
        "OR",
        "POWER",
        "RSHIFT",
        "SUBTRACT",
        "TRUE_DIVIDE",
        "XOR",
    ];
    names
        .iter()
        .position(|known| *known == name)
        .and_then(|index| u8::try_from(index).ok())
}

impl Op {
    /// The meaning of the opcode of this name in CPython 3.`minor`.
    pub(super) fn from_name(name: &str, minor: u32) -> Op {
        stack_op(name, minor)
            .or_else(|| variable_op(name))
            .or_else(|| flow_op(name, minor))
            .or_else(|| block_op(name, minor))
            .or_else(|| call_op(name, minor))
            .or_else(|| plain_op(name, minor))
            .or_else(|| operator(name).map(Op::Binary))
            .unwrap_or(Op::Invalid)
    }
}

/// Shuffling of the stack, and instructions without effect.
fn stack_op(name: &str, _minor: u32) -> Option<Op> {
    Some(match name {
        "NOP" | "NOT_TAKEN" | "CACHE" | "SETUP_ANNOTATIONS" | "MAKE_CELL" | "COPY_FREE_VARS"
        | "DELETE_GLOBAL" | "DELETE_NAME" | "TRACE_RECORD" => Op::Nop,
        "RESUME" => Op::Resume,
        "EXTENDED_ARG" => Op::ExtendedArg,
        "ENTER_EXECUTOR" => Op::EnterExecutor,
        "KW_NAMES" => Op::KwNames,
        "POP_TOP" => Op::Pop,
        "ROT_TWO" => Op::Rotate(2),
        "ROT_THREE" => Op::Rotate(3),
        "ROT_FOUR" => Op::Rotate(4),
        "ROT_N" => Op::RotateArg,
        "DUP_TOP" => Op::Dup,
        "DUP_TOP_TWO" => Op::DupTwo,
        "SWAP" => Op::Swap,
        "COPY" => Op::Copy,
        "PUSH_NULL" => Op::PushNull,
        "LOAD_CONST" => Op::LoadConst,
        "LOAD_SMALL_INT" => Op::LoadSmallInt,
        "LOAD_COMMON_CONSTANT" => Op::LoadCommon,
        _ => return None,
    })
}

/// Names, attributes, items.
fn variable_op(name: &str) -> Option<Op> {
    Some(match name {
        "LOAD_FAST" | "LOAD_FAST_CHECK" | "LOAD_FAST_BORROW" | "LOAD_FAST_AND_CLEAR" => {
            Op::LoadFast
        }
        "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => Op::LoadFastTwo,
        "STORE_FAST" => Op::StoreFast,
        "STORE_FAST_LOAD_FAST" => Op::StoreFastLoadFast,
        "STORE_FAST_STORE_FAST" => Op::StoreFastTwo,
        "DELETE_FAST" => Op::DeleteFast,
        "LOAD_CLOSURE" => Op::LoadClosure,
        "LOAD_DEREF" | "LOAD_CLASSDEREF" => Op::LoadDeref,
        "STORE_DEREF" => Op::StoreDeref,
        "DELETE_DEREF" => Op::DeleteDeref,
        "LOAD_NAME" => Op::LoadName,
        "STORE_NAME" => Op::StoreName,
        "LOAD_GLOBAL" => Op::LoadGlobal,
        "STORE_GLOBAL" => Op::StoreGlobal,
        "LOAD_ATTR" => Op::LoadAttr,
        "LOAD_METHOD" => Op::LoadMethod,
        "STORE_ATTR" => Op::StoreAttr,
        "DELETE_ATTR" => Op::DeleteAttr,
        "LOAD_SUPER_ATTR" => Op::LoadSuperAttr,
        "LOAD_SPECIAL" => Op::LoadSpecial,
        "BINARY_SUBSCR" => Op::Subscript,
        "BINARY_OP" => Op::BinaryArg,
        "COMPARE_OP" | "IS_OP" | "CONTAINS_OP" => Op::Compare,
        "UNARY_POSITIVE" => Op::Unary(Unary::Positive),
        "UNARY_NEGATIVE" => Op::Unary(Unary::Negative),
        "UNARY_NOT" => Op::Unary(Unary::Not),
        "UNARY_INVERT" => Op::Unary(Unary::Invert),
        "TO_BOOL" => Op::Bool,
        "IMPORT_NAME" => Op::ImportName,
        "IMPORT_FROM" => Op::ImportFrom,
        _ => return None,
    })
}

/// Jumps, iteration, suspension, the end of a path.
fn flow_op(name: &str, minor: u32) -> Option<Op> {
    use Condition as If;
    // Up to 3.10 conditional jumps are absolute; later ones go forward unless they say otherwise.
    let to = if minor <= 10 {
        Target::Absolute
    } else {
        Target::Forward
    };
    Some(match name {
        "JUMP_FORWARD" => Op::Jump(Target::Forward),
        "JUMP_ABSOLUTE" => Op::Jump(Target::Absolute),
        "JUMP_BACKWARD" | "JUMP_BACKWARD_NO_INTERRUPT" => Op::Jump(Target::Backward),
        "POP_JUMP_IF_TRUE" | "POP_JUMP_FORWARD_IF_TRUE" => Op::PopJump(to, If::True),
        "POP_JUMP_IF_FALSE" | "POP_JUMP_FORWARD_IF_FALSE" => Op::PopJump(to, If::False),
        "POP_JUMP_IF_NONE" | "POP_JUMP_FORWARD_IF_NONE" => Op::PopJump(to, If::None),
        "POP_JUMP_IF_NOT_NONE" | "POP_JUMP_FORWARD_IF_NOT_NONE" => Op::PopJump(to, If::NotNone),
        "POP_JUMP_BACKWARD_IF_TRUE" => Op::PopJump(Target::Backward, If::True),
        "POP_JUMP_BACKWARD_IF_FALSE" => Op::PopJump(Target::Backward, If::False),
        "POP_JUMP_BACKWARD_IF_NONE" => Op::PopJump(Target::Backward, If::None),
        "POP_JUMP_BACKWARD_IF_NOT_NONE" => Op::PopJump(Target::Backward, If::NotNone),
        "JUMP_IF_TRUE_OR_POP" => Op::JumpOrPop(to, If::True),
        "JUMP_IF_FALSE_OR_POP" => Op::JumpOrPop(to, If::False),
        "JUMP_IF_NOT_EXC_MATCH" => Op::JumpNotMatch(to),
        "GET_ITER" if minor >= 15 => Op::GetIterPair,
        "GET_ITER" | "GET_AITER" | "GET_YIELD_FROM_ITER" => Op::GetIter,
        "FOR_ITER" => Op::ForIter,
        "END_FOR" => Op::EndFor,
        "GET_AWAITABLE" => Op::Await,
        "YIELD_FROM" => Op::YieldFrom,
        "SEND" => Op::Send,
        "END_SEND" => Op::EndSend,
        "CLEANUP_THROW" => Op::CleanupThrow,
        "YIELD_VALUE" => Op::Yield,
        "RETURN_VALUE" | "INTERPRETER_EXIT" => Op::Return,
        "RETURN_CONST" => Op::ReturnConst,
        "RETURN_GENERATOR" => Op::ReturnGenerator,
        "RAISE_VARARGS" | "RERAISE" => Op::Raise,
        "END_ASYNC_FOR" => Op::EndAsyncFor,
        _ => return None,
    })
}

/// Exception handling and `with`.
fn block_op(name: &str, minor: u32) -> Option<Op> {
    Some(match name {
        "SETUP_FINALLY" => Op::SetupFinally,
        "SETUP_WITH" => Op::SetupWith,
        "SETUP_ASYNC_WITH" => Op::SetupAsyncWith,
        "BEFORE_WITH" => Op::BeforeWith,
        "BEFORE_ASYNC_WITH" => Op::BeforeAsyncWith,
        "POP_BLOCK" => Op::PopBlock,
        "BEGIN_FINALLY" => Op::BeginFinally,
        "CALL_FINALLY" => Op::CallFinally,
        "END_FINALLY" => Op::EndFinally,
        "POP_FINALLY" => Op::PopFinally,
        "WITH_CLEANUP_START" => Op::WithCleanupStart,
        "WITH_CLEANUP_FINISH" => Op::WithCleanupFinish,
        "WITH_EXCEPT_START" => Op::WithExceptStart,
        "PUSH_EXC_INFO" => Op::PushExcInfo,
        "POP_EXCEPT" => Op::PopExcept,
        "CHECK_EXC_MATCH" => Op::Plain(1, 1),
        "CHECK_EG_MATCH" => Op::Plain(2, 2),
        "PREP_RERAISE_STAR" => Op::Plain(2, 1),
        // A generator's first instruction in 3.10: takes the None that starts it.
        "GEN_START" if minor == 10 => Op::Plain(1, 0),
        _ => return None,
    })
}

fn call_op(name: &str, minor: u32) -> Option<Op> {
    Some(Op::Call(match name {
        "CALL_FUNCTION" => CallForm::Function,
        "CALL_FUNCTION_KW" => CallForm::FunctionKw,
        "CALL_METHOD" | "CALL" => CallForm::Method,
        "PRECALL" => CallForm::Pre,
        "CALL_KW" => CallForm::MethodKw,
        "CALL_FUNCTION_EX" if minor <= 10 => CallForm::Spread,
        "CALL_FUNCTION_EX" if minor <= 13 => CallForm::SpreadNull,
        "CALL_FUNCTION_EX" => CallForm::SpreadBoth,
        "CALL_INTRINSIC_1" => CallForm::Intrinsic(1),
        "CALL_INTRINSIC_2" => CallForm::Intrinsic(2),
        _ => return None,
    }))
}

/// Opcodes whose results nobody follows.
fn plain_op(name: &str, minor: u32) -> Option<Op> {
    Some(match name {
        "LOAD_BUILD_CLASS" | "LOAD_ASSERTION_ERROR" | "LOAD_LOCALS" => Op::Plain(0, 1),
        "LOAD_FROM_DICT_OR_GLOBALS" | "LOAD_FROM_DICT_OR_DEREF" => Op::Plain(1, 1),
        "GET_ANEXT" | "GET_LEN" | "MATCH_MAPPING" | "MATCH_SEQUENCE" => Op::Plain(1, 2),
        "MATCH_KEYS" if minor == 10 => Op::Plain(2, 4),
        "MATCH_KEYS" => Op::Plain(2, 3),
        "MATCH_CLASS" if minor == 10 => Op::Plain(3, 2),
        "MATCH_CLASS" => Op::Plain(3, 1),
        "COPY_DICT_WITHOUT_KEYS"
        | "LIST_TO_TUPLE"
        | "ASYNC_GEN_WRAP"
        | "FORMAT_SIMPLE"
        | "CONVERT_VALUE" => Op::Plain(1, 1),
        "FORMAT_WITH_SPEC" | "SET_FUNCTION_ATTRIBUTE" | "BUILD_TEMPLATE" => Op::Plain(2, 1),
        "PRINT_EXPR" | "IMPORT_STAR" | "EXIT_INIT_CHECK" => Op::Plain(1, 0),
        "POP_ITER" if minor >= 15 => Op::Plain(2, 0),
        "POP_ITER" => Op::Plain(1, 0),
        "BINARY_SLICE" => Op::Plain(3, 1),
        "STORE_SLICE" => Op::Plain(4, 0),
        "STORE_SUBSCR" => Op::Plain(3, 0),
        "DELETE_SUBSCR" => Op::Plain(2, 0),
        "LIST_APPEND" | "SET_ADD" | "LIST_EXTEND" | "SET_UPDATE" | "DICT_MERGE" | "DICT_UPDATE" => {
            Op::Plain(1, 0)
        }
        "MAP_ADD" => Op::Plain(2, 0),
        "BUILD_TUPLE"
        | "BUILD_LIST"
        | "BUILD_SET"
        | "BUILD_STRING"
        | "BUILD_LIST_UNPACK"
        | "BUILD_MAP_UNPACK"
        | "BUILD_MAP_UNPACK_WITH_CALL"
        | "BUILD_TUPLE_UNPACK"
        | "BUILD_SET_UNPACK"
        | "BUILD_TUPLE_UNPACK_WITH_CALL" => Op::Build(Count::Arg),
        "BUILD_MAP" => Op::Build(Count::TwiceArg),
        "BUILD_CONST_KEY_MAP" => Op::Build(Count::ArgPlusOne),
        "BUILD_SLICE" if minor >= 14 => Op::Build(Count::Arg),
        "BUILD_SLICE" => Op::Build(Count::Slice),
        "BUILD_INTERPOLATION" => Op::Build(Count::Interpolation),
        "FORMAT_VALUE" => Op::Build(Count::Format),
        "MAKE_FUNCTION" if minor <= 10 => Op::Build(Count::Function(2)),
        "MAKE_FUNCTION" if minor <= 12 => Op::Build(Count::Function(1)),
        "MAKE_FUNCTION" => Op::Plain(1, 1),
        "UNPACK_SEQUENCE" => Op::Unpack(Count::Arg),
        "UNPACK_EX" => Op::Unpack(Count::Starred),
        _ => return None,
    })
}

impl Count {
    /// The number for an instruction's argument.
    pub(super) fn of(self, arg: u32) -> usize {
        let arg = arg as usize;
        match self {
            Count::Arg => arg,
            Count::ArgPlusOne => arg.saturating_add(1),
            Count::TwiceArg => arg.saturating_mul(2),
            Count::Slice => 2 + usize::from(arg == 3),
            Count::Format => 1 + usize::from(arg & 4 != 0),
            Count::Interpolation => 2 + (arg & 1),
            Count::Function(fixed) => usize::from(fixed) + (arg & 15).count_ones() as usize,
            Count::Starred => (arg & 0xff).saturating_add(arg >> 8).saturating_add(1),
        }
    }
}

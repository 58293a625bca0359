//! NumPy's arrays and scalars, by the structs that its C interface promises.

use super::{Failed, Renderer, plain::complex_repr};
use crate::number::float_repr;
use crate::object::TypeInfo;
use snapshot::Address;

/// `PyArrayObject_fields`, from the end of the object's head: data, number of dimensions, dimensions, strides,
/// base, element type.
const DIMENSIONS: u64 = 8;
const SHAPE: u64 = 16;
const DESCR: u64 = 40;
/// `NPY_MAXDIMS` of NumPy 2.
const DIMENSIONS_LIMIT: u64 = 64;

impl Renderer<'_> {
    /// `array(shape=(3, 4), dtype=float64)`.
    pub(super) fn ndarray(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let head = self.head(object)?;
        let count = self.reader.scalar::<i32>(head.plus(DIMENSIONS))?;
        let count = u64::try_from(count)
            .ok()
            .filter(|count| *count <= DIMENSIONS_LIMIT)
            .ok_or(Failed)?;
        let shape: Address = self.reader.scalar(head.plus(SHAPE))?;
        let mut sizes = Vec::new();
        for index in 0..count {
            sizes.push(
                self.reader
                    .scalar::<i64>(shape.plus(index * 8))?
                    .to_string(),
            );
        }
        let comma = if count == 1 { "," } else { "" };
        let descr: Address = self.reader.scalar(head.plus(DESCR))?;
        // `PyArray_Descr` begins with the type of its scalars.
        let scalar: Address = self.reader.scalar(self.head(descr)?)?;
        let scalar = self.reader.type_name(scalar)?;
        let name = match class.is("numpy", "ndarray") {
            true => "array",
            false => &*class.name,
        };
        let dtype = scalar.strip_suffix('_').unwrap_or(&scalar);
        self.write(format_args!(
            "{name}(shape=({}{comma}), dtype={dtype})",
            sizes.join(", ")
        ))
    }

    /// `np.float32(1.5)`: the value stands behind the object's head.
    pub(super) fn numpy_scalar(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let value = self.head(object)?;
        let reader = &self.reader;
        let text = match &*class.name {
            "bool" | "bool_" => {
                let text = if reader.scalar::<u8>(value)? != 0 {
                    "True"
                } else {
                    "False"
                };
                return self.write(format_args!("np.{text}"));
            }
            "int8" => reader.scalar::<i8>(value)?.to_string(),
            "int16" => reader.scalar::<i16>(value)?.to_string(),
            "int32" => reader.scalar::<i32>(value)?.to_string(),
            "int64" | "longlong" => reader.scalar::<i64>(value)?.to_string(),
            "uint8" => reader.scalar::<u8>(value)?.to_string(),
            "uint16" => reader.scalar::<u16>(value)?.to_string(),
            "uint32" => reader.scalar::<u32>(value)?.to_string(),
            "uint64" | "ulonglong" => reader.scalar::<u64>(value)?.to_string(),
            "float32" => float32_repr(f32::from_bits(reader.scalar(value)?)),
            "float64" => float_repr(f64::from_bits(reader.scalar(value)?)),
            "complex128" => complex_repr(
                f64::from_bits(reader.scalar(value)?),
                f64::from_bits(reader.scalar(value.plus(8))?),
            ),
            _ => return Err(Failed),
        };
        self.write(format_args!("np.{}({text})", class.name))
    }

    /// Where an object's own fields begin.
    pub(super) fn head(&self, object: Address) -> Result<Address, Failed> {
        let head = self.reader.layout.object.ob_size.offset().ok_or(Failed)?;
        object.checked_add(head).ok_or(Failed)
    }
}

/// The shortest digits that read back the same single-precision number.
fn float32_repr(value: f32) -> String {
    let shortest: f64 = value.to_string().parse().unwrap_or(f64::from(value));
    float_repr(shortest)
}

//! `datetime`: the module's own types, as C has them.

use super::{Failed, Renderer, full_name};
use crate::object::TypeInfo;
use crate::reader::Scalar;
use snapshot::Address;

impl Renderer<'_> {
    /// `datetime.date(2024, 2, 29)`.
    pub(super) fn date(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let place = self.reader.place(object, self.reader.layout.date.data)?;
        let data = self.reader.bytes(place, 4, 4)?;
        let [high, low, month, day] = data.as_slice() else {
            return Err(Failed);
        };
        let year = u16::from_be_bytes([*high, *low]);
        let name = full_name(class);
        self.write(format_args!("{name}({year}, {month}, {day})"))
    }

    /// `datetime.datetime(2024, 2, 29, 12, 30)`.
    pub(super) fn datetime(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.datetime;
        let place = self.reader.place(object, layout.data)?;
        let data = self.reader.bytes(place, 11, 11)?;
        let (date, time) = data.split_at_checked(4).ok_or(Failed)?;
        let [high, low, month, day] = date else {
            return Err(Failed);
        };
        let year = u16::from_be_bytes([*high, *low]);
        let name = full_name(class);
        self.write(format_args!("{name}({year}, {month}, {day}, "))?;
        let has_zone = self.reader.get(object, layout.hastzinfo)? != 0;
        let zone = has_zone.then(|| self.reader.get(object, layout.tzinfo));
        self.clock(time, zone.transpose()?)
    }

    /// `datetime.time(12, 30)`.
    pub(super) fn time(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.time;
        let place = self.reader.place(object, layout.data)?;
        let data = self.reader.bytes(place, 7, 7)?;
        self.write(format_args!("{}(", full_name(class)))?;
        let has_zone = self.reader.get(object, layout.hastzinfo)? != 0;
        let zone = has_zone.then(|| self.reader.get(object, layout.tzinfo));
        self.clock(&data, zone.transpose()?)
    }

    /// Hour, minute, second, three bytes of microseconds, fold; as far as their repr shows them.
    fn clock(&mut self, time: &[u8], zone: Option<Address>) -> Result<(), Failed> {
        let [hour, minute, second, a, b, c, fold] = time else {
            return Err(Failed);
        };
        let micro = u32::from_be_bytes([0, *a, *b, *c]);
        self.write(format_args!("{hour}, {minute}"))?;
        if *second != 0 || micro != 0 {
            self.write(format_args!(", {second}"))?;
        }
        if micro != 0 {
            self.write(format_args!(", {micro}"))?;
        }
        if *fold != 0 {
            self.write(format_args!(", fold={fold}"))?;
        }
        if let Some(zone) = zone {
            self.push(", tzinfo=");
            self.value(zone);
        }
        self.push(")");
        Ok(())
    }

    /// `datetime.timedelta(days=1, seconds=30)`.
    pub(super) fn timedelta(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let layout = &self.reader.layout.timedelta;
        let parts = [
            ("days", self.reader.get(object, layout.days)?),
            ("seconds", self.reader.get(object, layout.seconds)?),
            (
                "microseconds",
                self.reader.get(object, layout.microseconds)?,
            ),
        ];
        let shown: Vec<String> = parts
            .iter()
            .filter(|(_, value)| *value != 0)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let name = full_name(class);
        match shown.is_empty() {
            true => self.write(format_args!("{name}(0)")),
            false => self.write(format_args!("{name}({})", shown.join(", "))),
        }
    }

    /// `datetime.timezone.utc`, `datetime.timezone(datetime.timedelta(seconds=3600))`.
    pub(super) fn timezone(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        // Two pointers behind the object's head (`PyDateTime_TimeZone`): offset and name.
        let head = self.reader.layout.object.ob_size.offset().ok_or(Failed)?;
        let offset: Address = self.reader.scalar(object.plus(head))?;
        let name: Address = self
            .reader
            .scalar(object.plus(head + Address::SIZE as u64))?;
        let delta = &self.reader.layout.timedelta;
        let is_zero = self.reader.get(offset, delta.days)? == 0
            && self.reader.get(offset, delta.seconds)? == 0
            && self.reader.get(offset, delta.microseconds)? == 0;
        let full = full_name(class);
        // Without a name, the zero offset has one object only.
        if is_zero && name.is_null() {
            return self.write(format_args!("{full}.utc"));
        }
        self.write(format_args!("{full}("))?;
        self.value(offset);
        if !name.is_null() {
            self.push(", ");
            self.value(name);
        }
        self.push(")");
        Ok(())
    }

    /// `zoneinfo.ZoneInfo(key='Europe/Paris')`.
    pub(super) fn zoneinfo(&mut self, object: Address, class: &TypeInfo) -> Result<(), Failed> {
        let key = self.reader.attribute(object, "key")?.ok_or(Failed)?;
        self.write(format_args!("{}(key=", full_name(class)))?;
        self.value(key);
        self.push(")");
        Ok(())
    }
}

//! How an event looks in a stream.

use super::link::LinkError;
use redis::{ErrorKind, RedisError, Value};

/// The field with the event's number, and where it comes from.
pub(super) const ID: &[u8] = b"id";
/// The field with the key, if it has one.
pub(super) const KEY: &[u8] = b"key";
/// The field with what it says.
pub(super) const BODY: &[u8] = b"body";

/// An entry of a stream: its number there, and its fields in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEntry {
    /// Its number in the stream, `milliseconds-sequence`.
    pub id: String,
    /// Names and values.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl StreamEntry {
    /// Returns the value of a field.
    ///
    /// ```no_run
    /// # use ironsys::{brokers::redis::{Server, StreamSource}, durable::Delivery};
    /// # let server = Server::new("redis://127.0.0.1:6379")?;
    /// let source = StreamSource::builder(&server, "clicks", "count", "count-1").decode(|entry| {
    ///     let body = entry.field("url").unwrap_or_default().to_vec();
    ///     Delivery { position: 0, id: Vec::new(), key: Vec::new(), body }
    /// });
    /// # let _ = source;
    /// # Ok::<(), ironsys::BuildError>(())
    /// ```
    #[must_use]
    pub fn field(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let named = |(field, _): &&(Vec<u8>, Vec<u8>)| field == name.as_ref();
        self.fields.iter().find(named).map(|(_, value)| &value[..])
    }
}

/// What stands in a list of entries. One that was deleted and is still to be acked has no fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Entry(StreamEntry),
    Deleted(String),
}

/// Reads `[[id, [field, value, ..]], ..]`; nil is an empty list.
pub(super) fn entries(list: Value) -> Result<Vec<Listed>, LinkError> {
    match list {
        Value::Nil => Ok(Vec::new()),
        Value::Array(all) => all.into_iter().map(entry).collect(),
        other => Err(odd("a list of entries", &other)),
    }
}

fn entry(value: Value) -> Result<Listed, LinkError> {
    let Value::Array(parts) = value else { return Err(odd("an entry", &value)) };
    let [id, fields] = <[Value; 2]>::try_from(parts).map_err(|parts| {
        odd("an entry of two parts", &Value::Array(parts)) //
    })?;
    let id: String = redis::from_redis_value(id)?;
    let Value::Array(flat) = fields else {
        return match fields {
            Value::Nil => Ok(Listed::Deleted(id)),
            other => Err(odd("the fields of an entry", &other)),
        };
    };
    let flat = flat.into_iter().map(redis::from_redis_value::<Vec<u8>>);
    let mut flat = flat.collect::<Result<Vec<_>, _>>()?.into_iter();
    let mut fields = Vec::with_capacity(flat.len() / 2);
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.push((name, value));
    }
    Ok(Listed::Entry(StreamEntry { id, fields }))
}

/// The error for an answer that is none to the question; what it says may be secret, its kind is not.
pub(super) fn odd(wanted: &'static str, got: &Value) -> LinkError {
    let kind = match got {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::Okay => "a string",
        Value::Array(_) => "a list",
        _ => "something else",
    };
    let detail = format!("{wanted} was expected, not {kind}");
    RedisError::from((ErrorKind::UnexpectedReturnType, "an odd answer", detail)).into()
}

#[cfg(test)]
mod tests {
    use super::{Listed, StreamEntry, entries};
    use redis::parse_redis_value;

    #[test]
    fn entries_are_read_and_anything_else_is_an_error() {
        let bytes =
            b"*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n2-0\r\n$-1\r\n";
        let all = entries(parse_redis_value(bytes).expect("well formed")).expect("entries");
        let fields = vec![(b"a".to_vec(), b"b".to_vec())];
        let first = StreamEntry { id: "1-0".into(), fields };
        assert_eq!(first.field("a"), Some(&b"b"[..]));
        assert_eq!(all, [Listed::Entry(first), Listed::Deleted("2-0".into())]);
        for bad in
            ["+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*1\r\n$1\r\na\r\n", "*1\r\n*2\r\n$1\r\na\r\n:1\r\n"]
        {
            let value = parse_redis_value(bad.as_bytes()).expect("well formed");
            assert!(entries(value).is_err(), "{bad:?}");
        }
    }
}

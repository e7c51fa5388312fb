//! Canonical JSON (RFC 8785) of what catalogs hold: the same bytes as `serde_json_canonicalizer` gives, which writes any type and
//! takes ten times as long. Every object of a reading is written so once.

use serde_json::{Map, Number, Value};

/// The largest integers that a double holds exactly: these are written as they are.
const EXACT: i64 = 1 << 53;

/// Appends a value.
pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_text(out, text),
        Value::Array(list) => write_list(out, list, write),
        Value::Object(map) => write_map(out, map),
    }
}

/// Appends an object.
pub(super) fn write_map(out: &mut Vec<u8>, map: &Map<String, Value>) {
    // In the order of UTF-16 code units: for ASCII that is the order of the bytes.
    let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
    if pairs.iter().all(|(key, _)| key.is_ascii()) {
        pairs.sort_unstable_by_key(|(key, _)| *key);
    } else {
        pairs.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<u16>>());
    }
    out.push(b'{');
    for (n, (key, value)) in pairs.into_iter().enumerate() {
        write_key(out, n == 0, key);
        write(out, value);
    }
    out.push(b'}');
}

/// Appends the key of a pair, and what comes before and after it.
pub(super) fn write_key(out: &mut Vec<u8>, first: bool, key: &str) {
    if !first {
        out.push(b',');
    }
    write_text(out, key);
    out.push(b':');
}

/// Appends a list.
pub(super) fn write_list<T>(out: &mut Vec<u8>, list: &[T], one: fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (n, item) in list.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

/// Appends a text. Of the characters that JSON escapes nothing but quotes, backslashes and control characters has to be.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|b| b < b' ' || b == b'"' || b == b'\\') {
        serde_json::to_writer(out, text).expect("a text is written to memory");
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    match number.as_i64() {
        Some(exact) if exact.abs_diff(0) < EXACT as u64 => out.extend_from_slice(exact.to_string().as_bytes()),
        _ => out.extend(serde_json_canonicalizer::to_vec(number).expect("JSON has no number that is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_what_the_standard_asks_for() {
        let values = [
            json!(null),
            json!([true, false, [], {}]),
            json!([0, -1, 9_007_199_254_740_991_i64, 9_007_199_254_740_993_i64, i64::MAX, i64::MIN, u64::MAX]),
            json!([0.5, -0.0, 1e30, 1e-7, 333_333_333.333_333_3]),
            json!(["", "a/b", "\"quoted\\\"", "\u{0}\u{1f}\u{7f}\u{80}", "line\nfeed\t\r\u{8}\u{c}", "é😀\u{2028}"]),
            json!({"b": 1, "a": {"d": null, "c": "x"}, "": 0, "ab": 2, "a b": 3, "B": 4}),
            json!({"\u{e000}": 1, "😀": 2, "é": 3, "z": 4, "\n": 5}),
        ];
        for value in values {
            let mut out = Vec::new();
            write(&mut out, &value);
            let wanted = serde_json_canonicalizer::to_vec(&value).expect("it is JSON");
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&wanted));
        }
    }
}

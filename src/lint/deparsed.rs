//! What can be told from texts that the server deparsed: lists, keys of indexes, calls in filters.
//!
//! These texts are regular: names are qualified and quoted where they must be, quotes inside of quotes are doubled.

/// The elements of the list that `text` begins with, in parentheses, and what follows it.
pub fn list(text: &str) -> Option<(Vec<&str>, &str)> {
    let mut elements = Vec::new();
    let (mut depth, mut start) = (0usize, 1);
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    elements.push(text[start..at].trim());
                    return Some((elements, &text[at + 1..]));
                }
            }
            (None, ',') if depth == 1 => {
                elements.push(text[start..at].trim());
                start = at + 1;
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Method, keys, columns of INCLUDE, and the rest of `USING btree (a, b DESC) INCLUDE (c) NULLS NOT DISTINCT`.
pub fn index(body: &str) -> Option<(&str, Vec<&str>, Vec<&str>, &str)> {
    let (method, keys) = body.strip_prefix("USING ")?.split_once(" (")?;
    let (keys, rest) = list(&body[body.len() - keys.len() - 1..])?;
    match rest.strip_prefix(" INCLUDE ") {
        Some(included) => list(included).map(|(include, rest)| (method, keys, include, rest.trim())),
        None => Some((method, keys, Vec::new(), rest.trim())),
    }
}

/// Whether `call`, such as `public.f(`, stands where rows are filtered: anywhere in the expression of a policy, behind WHERE, ON or
/// HAVING in a query; not in what a query selects, where a subquery is run once for all rows.
pub fn filters(text: &str, call: &str, is_query: bool) -> bool {
    let mut clauses = vec![!is_query];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if *clauses.last().unwrap_or(&false) && rest.starts_with(call) {
            return true;
        }
        let first = rest.chars().next().unwrap_or(' ');
        at += match first {
            '\'' | '"' => quoted(rest, first),
            '(' => {
                clauses.push(clauses.last().copied().unwrap_or(false));
                1
            }
            ')' => {
                clauses.pop();
                1
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                if let (Some(clause), Some(last)) = (clause(&rest[..length]), clauses.last_mut()) {
                    *last = clause;
                }
                length
            }
            c => c.len_utf8(),
        };
        // A name that is quoted or qualified is no keyword, and a call stands at its beginning.
        while text[at..].starts_with('.') {
            let part =
                text[at + 1..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len() - at - 1);
            let first = text[at + 1..].chars().next().unwrap_or(' ');
            at += 1 + if first == '"' { quoted(&text[at + 1..], '"') } else { part };
            if part == 0 && first != '"' {
                break;
            }
        }
    }
    false
}

/// The length of what is quoted at the beginning of `text`.
fn quoted(text: &str, quote: char) -> usize {
    text[1..].find(quote).map_or(text.len(), |n| n + 2)
}

/// Whether a keyword begins a clause that filters rows; none for any other word.
fn clause(word: &str) -> Option<bool> {
    match word {
        "WHERE" | "ON" | "HAVING" => Some(true),
        "SELECT" | "FROM" | "GROUP" | "ORDER" | "LIMIT" | "OFFSET" | "WINDOW" | "UNION" | "INTERSECT" | "EXCEPT" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_taken_apart() {
        let body = "USING btree (a, lower((b)::text) COLLATE \"C\", \"x, y)\" DESC NULLS LAST, f('(,'::text)) INCLUDE (c, \"d \"\"e\") NULLS NOT DISTINCT";
        let keys = vec!["a", "lower((b)::text) COLLATE \"C\"", "\"x, y)\" DESC NULLS LAST", "f('(,'::text)"];
        assert_eq!(index(body), Some(("btree", keys, vec!["c", "\"d \"\"e\""], "NULLS NOT DISTINCT")));
        assert_eq!(index("USING gin (t)"), Some(("gin", vec!["t"], vec![], "")));
        assert_eq!(index("USING gin t"), None);
        assert_eq!(list("(a, b"), None);
    }

    #[test]
    fn calls_count_where_rows_are_filtered() {
        assert!(filters("(id = public.f(id))", "public.f(", false));
        assert!(filters("(NOT public.f(id))", "public.f(", false));
        assert!(!filters("(id = ( SELECT public.f() AS f))", "public.f(", false));
        assert!(filters("(EXISTS ( SELECT 1\n   FROM t\n  WHERE public.f(t.id)))", "public.f(", false));
        assert!(!filters("(note = 'public.f('::text)", "public.f(", false));
        assert!(!filters("(id = other.public.f(1))", "public.f(", false));
        assert!(!filters(" SELECT public.f(a) AS f\n   FROM t\n  WHERE (a > 0)", "public.f(", true));
        assert!(filters(" SELECT a\n   FROM t\n  WHERE (a > public.f(1))\n  GROUP BY a", "public.f(", true));
        assert!(filters(" SELECT a\n   FROM (t\n     JOIN u ON ((\"S \"\"x\".\"é f\"(t.a) = 1)))", "\"S \"\"x\".\"é f\"(", true));
    }
}

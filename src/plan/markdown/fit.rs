//! What matters most gets the room that there is.

/// A part of the comment.
pub struct Part {
    /// What matters more has a lower one.
    pub rank: u32,
    /// Its Markdown.
    pub text: String,
}

/// The parts that `room` and their `share` of it hold, in their own order, and how many had to stay away. Those that matter more
/// are let in first, among equals the earlier ones; what is too large for what is left is passed over.
pub fn fit(parts: Vec<Part>, room: &mut usize, share: usize) -> (Vec<String>, usize) {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|n| parts[*n].rank);
    let mut left = share.min(*room);
    let mut kept = vec![false; parts.len()];
    for n in order {
        let size = parts[n].text.len();
        if size <= left {
            (kept[n], left, *room) = (true, left - size, *room - size);
        }
    }
    let cut = kept.iter().filter(|k| !**k).count();
    (parts.into_iter().zip(kept).filter(|(_, k)| *k).map(|(p, _)| p.text).collect(), cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_most_stays() {
        let part = |rank, text: &str| Part { rank, text: text.to_owned() };
        let parts = vec![part(1, "aaaa"), part(0, "bb"), part(1, "cc"), part(0, "dddddd"), part(2, "e")];
        let mut room = 100;
        assert_eq!(fit(parts, &mut room, 7), (vec!["aaaa".to_owned(), "bb".to_owned(), "e".to_owned()], 2));
        assert_eq!(room, 93);
    }
}

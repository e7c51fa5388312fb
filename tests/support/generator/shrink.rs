//! From a pair that fails to a small one that fails in the same way.

use super::Pair;
use super::model::{Key, Model, PUBLIC};
use std::collections::BTreeSet;
use std::time::Instant;

/// Takes away what the failure does not need, until nothing more goes or the time is over.
pub async fn shrink(pair: Pair, until: Instant, fails: impl AsyncFn(&Pair) -> bool) -> Pair {
    let mut best = pair;
    loop {
        let size = best.size();
        let mut chunk = best.keys().len().div_ceil(2);
        while chunk > 0 {
            for keys in best.keys().rchunks(chunk) {
                let candidate = without(&best, keys);
                attempt(&mut best, candidate, until, &fails).await;
            }
            chunk /= 2;
        }
        for key in best.keys() {
            for candidate in plainer(&best, key) {
                attempt(&mut best, candidate, until, &fails).await;
            }
        }
        if best.size() == size || Instant::now() > until {
            return best;
        }
    }
}

async fn attempt(best: &mut Pair, candidate: Pair, until: Instant, fails: &impl AsyncFn(&Pair) -> bool) {
    if candidate.size() < best.size() && Instant::now() < until && fails(&candidate).await {
        *best = candidate;
    }
}

/// Both sides without some items, and without what rests on them.
fn without(pair: &Pair, keys: &[Key]) -> Pair {
    let cut = |model: &Model| {
        let mut model = model.clone();
        keys.iter().for_each(|k| _ = model.items.remove(k));
        model.settle();
        model
    };
    Pair { before: cut(&pair.before), after: cut(&pair.after) }
}

/// One item the same on both sides, or without its owner, grants and comment.
fn plainer(pair: &Pair, key: Key) -> Vec<Pair> {
    let mut list = Vec::new();
    if let (Some(before), Some(after)) = (pair.before.items.get(&key), pair.after.items.get(&key))
        && before != after
    {
        for (side, item) in [(0, before), (1, after)] {
            let mut candidate = pair.clone();
            let model = if side == 0 { &mut candidate.after } else { &mut candidate.before };
            model.items.insert(key, item.clone());
            model.settle();
            list.push(candidate);
        }
    }
    let bare = |act: fn(&mut super::model::Item)| {
        let mut candidate = pair.clone();
        for model in [&mut candidate.before, &mut candidate.after] {
            model.items.get_mut(&key).into_iter().for_each(act);
            model.settle();
        }
        candidate
    };
    // A plain name on both sides, wherever the hostile one stands.
    let hostile = pair.before.items.get(&key).or(pair.after.items.get(&key)).map(|i| i.name.clone());
    let mut candidate = pair.clone();
    for item in candidate.before.items.values_mut().chain(candidate.after.items.values_mut()) {
        if Some(&item.name) == hostile.as_ref() && item.name != "public" {
            item.name = format!("x{key}");
        }
    }
    list.push(candidate);
    list.push(bare(|i| i.owner = None));
    list.push(bare(|i| i.comment = None));
    list.push(bare(|i| i.grants.clear()));
    list.push(bare(|i| i.closed = false));
    list
}

impl Pair {
    fn keys(&self) -> Vec<Key> {
        let all: BTreeSet<Key> = self.before.items.keys().chain(self.after.items.keys()).copied().collect();
        all.into_iter().filter(|k| *k != PUBLIC).collect()
    }

    /// What shrinking makes smaller: texts, and the differences between them.
    fn size(&self) -> usize {
        let (before, after) = (self.before.sql(), self.after.sql());
        let differing = self.keys().iter().filter(|k| self.before.items.get(k) != self.after.items.get(k)).count();
        before.len() + after.len() + 40 * differing
    }
}

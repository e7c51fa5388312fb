//! Where boxes and arrows go: columns by the longest way from the left, order within a column by barycentres, heights by the
//! least sum of squares (Sugiyama's method). Boxes without arrows stand in a grid below. Pure: numbers in, numbers out.

mod columns;
mod crossing;

use columns::Columns;

/// Between columns.
const GAP: f64 = 56.0;
/// Between boxes of a column, and between parts of the picture.
const SPACE: f64 = 12.0;
/// Around everything.
const MARGIN: f64 = 12.0;
/// The picture grows to the right up to here before a new row of parts begins.
const WIDE: f64 = 1250.0;

/// A box: width and height.
pub type Size = (f64, f64);
/// A point: from the left, from the top.
pub type Point = (f64, f64);

/// The picture.
#[derive(Debug, Default)]
pub struct Layout {
    /// The upper left corner of each box.
    pub places: Vec<Point>,
    /// The way of each arrow: from the right of a box to the left of another, with the points between.
    pub routes: Vec<Vec<Point>>,
    /// The size of all of it.
    pub size: Size,
}

/// Lays boxes out. An arrow leads from an earlier box to a later one.
pub fn layout(sizes: &[Size], arrows: &[(usize, usize)]) -> Layout {
    let mut picture = Layout { places: vec![(0.0, 0.0); sizes.len()], routes: vec![Vec::new(); arrows.len()], size: (0.0, 0.0) };
    let parts = parts(sizes.len(), arrows);
    let (single, joined): (Vec<_>, Vec<_>) = parts.into_iter().partition(|p| p.len() == 1);
    let drawn: Vec<Part> = joined.iter().map(|boxes| part(boxes, sizes, arrows)).collect();
    let widest = drawn.iter().map(|p| p.size.0).fold(WIDE, f64::max);
    let mut shelf = Shelf { at: (MARGIN, MARGIN), height: 0.0, right: 0.0, widest };
    for part in drawn {
        let (x, y) = shelf.put(part.size);
        part.places.iter().for_each(|(n, p)| picture.places[*n] = (x + p.0, y + p.1));
        for (n, way) in part.routes {
            picture.routes[n] = way.into_iter().map(|p| (x + p.0, y + p.1)).collect();
        }
    }
    shelf.row();
    let width = single.iter().map(|p| sizes[p[0]].0).fold(0.0, f64::max);
    for boxes in single {
        picture.places[boxes[0]] = shelf.put((width, sizes[boxes[0]].1));
    }
    shelf.row();
    picture.size = (shelf.right + MARGIN, (shelf.at.1 - SPACE + MARGIN).max(2.0 * MARGIN));
    picture
}

/// Boxes that hang together, in the order of their first.
fn parts(count: usize, arrows: &[(usize, usize)]) -> Vec<Vec<usize>> {
    fn root(of: &mut [usize], mut n: usize) -> usize {
        while of[n] != n {
            of[n] = of[of[n]];
            n = of[n];
        }
        n
    }
    let mut of: Vec<usize> = (0..count).collect();
    for (a, b) in arrows {
        let (a, b) = (root(&mut of, *a), root(&mut of, *b));
        of[a.max(b)] = a.min(b);
    }
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); count];
    for n in 0..count {
        let first = root(&mut of, n);
        parts[first].push(n);
    }
    parts.into_iter().filter(|p| !p.is_empty()).collect()
}

/// Parts side by side, row by row.
struct Shelf {
    at: Point,
    height: f64,
    right: f64,
    widest: f64,
}

impl Shelf {
    fn put(&mut self, size: Size) -> Point {
        if self.at.0 > MARGIN && self.at.0 + size.0 > MARGIN + self.widest {
            self.row();
        }
        let place = self.at;
        self.at.0 += size.0 + 2.0 * SPACE;
        self.height = self.height.max(size.1);
        self.right = self.right.max(place.0 + size.0);
        place
    }

    fn row(&mut self) {
        if self.height > 0.0 {
            self.at = (MARGIN, self.at.1 + self.height + SPACE);
            self.height = 0.0;
        }
    }
}

/// Boxes that hang together, laid out from their own corner.
struct Part {
    places: Vec<(usize, Point)>,
    routes: Vec<(usize, Vec<Point>)>,
    size: Size,
}

fn part(boxes: &[usize], sizes: &[Size], arrows: &[(usize, usize)]) -> Part {
    let own = |n: usize| boxes.binary_search(&n).ok();
    let within: Vec<(usize, (usize, usize))> =
        arrows.iter().enumerate().filter_map(|(n, (a, b))| Some((n, (own(*a)?, own(*b)?)))).collect();
    let ends: Vec<(usize, usize)> = within.iter().map(|(_, ends)| *ends).collect();
    let own_sizes: Vec<Size> = boxes.iter().map(|n| sizes[*n]).collect();
    let mut columns = Columns::new(&own_sizes, &ends);
    crossing::uncross(&mut columns);
    let heights = columns.heights(SPACE);
    let lefts = columns.lefts(GAP);
    let places = (0..boxes.len()).map(|n| (lefts[columns.column[n]], heights[n]));
    let middle = |item: usize| heights[item] + columns.sizes[item].1 / 2.0;
    let route = |arrow: usize, (from, to): (usize, usize)| {
        let start = (lefts[columns.column[from]] + own_sizes[from].0, middle(from));
        // A box that is narrower than its column: the way goes straight on to the column's edge.
        let edge = (lefts[columns.column[from]] + columns.widths[columns.column[from]], middle(from));
        let mut way = vec![start, edge];
        for bend in &columns.bends[arrow] {
            let left = lefts[columns.column[*bend]];
            way.extend([(left, middle(*bend)), (left + columns.widths[columns.column[*bend]], middle(*bend))]);
        }
        way.push((lefts[columns.column[to]], middle(to)));
        way
    };
    let size = columns.size(&lefts, &heights);
    Part {
        places: boxes.iter().copied().zip(places).collect(),
        routes: within.iter().enumerate().map(|(arrow, (n, ends))| (*n, route(arrow, *ends))).collect(),
        size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(sizes: &[Size], picture: &Layout) -> Option<(usize, usize)> {
        let apart = |a: usize, b: usize| {
            let ((ax, ay), (bx, by)) = (picture.places[a], picture.places[b]);
            ax + sizes[a].0 <= bx || bx + sizes[b].0 <= ax || ay + sizes[a].1 <= by || by + sizes[b].1 <= ay
        };
        (0..sizes.len()).flat_map(|a| (0..a).map(move |b| (b, a))).find(|(a, b)| !apart(*a, *b))
    }

    /// Numbers that look random and are always the same.
    fn noise(seed: &mut u64) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) as usize
    }

    #[test]
    fn arrows_lead_to_the_right_and_boxes_stand_apart() {
        let mut seed = 7;
        for count in [1, 2, 5, 30, 200] {
            let sizes: Vec<Size> = (0..count).map(|_| (100.0 + (noise(&mut seed) % 150) as f64, 36.0)).collect();
            let arrows: Vec<(usize, usize)> = (1..count)
                .flat_map(|b| (0..noise(&mut seed) % 3).map(|_| (noise(&mut seed) % b, b)).collect::<Vec<_>>())
                .collect();
            let picture = layout(&sizes, &arrows);
            assert_eq!(overlap(&sizes, &picture), None, "{count} boxes");
            for (n, (a, b)) in arrows.iter().enumerate() {
                let way = &picture.routes[n];
                assert_eq!(way[0], (picture.places[*a].0 + sizes[*a].0, picture.places[*a].1 + 18.0));
                assert_eq!(*way.last().expect("an end"), (picture.places[*b].0, picture.places[*b].1 + 18.0));
                assert!(way.is_sorted_by_key(|p| p.0), "{way:?}");
            }
            for (place, size) in picture.places.iter().zip(&sizes) {
                assert!(place.0 >= 0.0 && place.0 + size.0 <= picture.size.0 && place.1 + size.1 <= picture.size.1);
            }
        }
    }

    #[test]
    fn a_chain_is_a_line_and_a_star_a_fan() {
        let chain = layout(&[(100.0, 30.0); 3], &[(0, 1), (1, 2)]);
        assert_eq!(chain.places.iter().map(|p| p.1).collect::<Vec<_>>(), [12.0; 3]);
        let star = layout(&[(100.0, 30.0); 4], &[(0, 1), (0, 2), (0, 3)]);
        assert_eq!(star.places[0].1, star.places[2].1);
        assert!(star.places[1].1 < star.places[2].1 && star.places[2].1 < star.places[3].1);
    }

    #[test]
    fn nothing_is_a_small_picture() {
        assert_eq!(layout(&[], &[]).size, (12.0, 24.0));
    }
}

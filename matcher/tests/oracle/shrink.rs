//! Cuts a failing list down: takes out ever smaller pieces as long as what is left still fails.

/// A short list that still fails, of items in their order: leaving out any one of them makes it
/// pass.
pub fn shrink<T: Clone>(items: &[T], fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut items = items.to_vec();
    let mut piece = items.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        let mut shrunk = false;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + piece).min(items.len()));
            if fails(&fewer) {
                items = fewer;
                shrunk = true;
            } else {
                at += piece;
            }
        }
        if piece > 1 || !shrunk {
            piece /= 2;
        }
    }
    items
}

//! Several places that may answer, tried one after the other.

/// What the first of `places` that succeeds comes to. Where none does, what the first one said: the log
/// is not to change with each attempt. Nothing where there is no place.
pub(super) fn in_turn<P, T, E>(
    places: impl IntoIterator<Item = P>,
    mut attempt: impl FnMut(P) -> Result<T, E>,
) -> Option<Result<T, E>> {
    let mut first = None;
    for place in places {
        match attempt(place) {
            Ok(value) => return Some(Ok(value)),
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    first.map(Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_answers_counts_and_else_what_the_first_says() {
        let attempt = |number: i32| if number > 2 { Ok(number) } else { Err(number) };
        assert_eq!(in_turn([2, 3, 4], attempt), Some(Ok(3)));
        assert_eq!(in_turn([2, 1], attempt), Some(Err(2)));
        assert_eq!(in_turn([], attempt), None);
    }
}

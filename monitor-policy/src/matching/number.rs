//! Tests of numbers.

/// An order between two values.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Order {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
}

impl Order {
    /// Whether two values stand in this order. Values that have none only differ.
    pub(crate) fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterEqual => left >= right,
        }
    }
}

/// A test of a number. Wide enough for signed and unsigned 64 bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NumberTest {
    /// Order with a whole number.
    Order(Order, i128),
    /// Member of a set.
    In(Box<[i128]>),
    /// Order with a ratio.
    Float(Order, f64),
}

impl NumberTest {
    /// Whether a whole number passes.
    pub(crate) fn matches(&self, number: i128) -> bool {
        match self {
            Self::Order(order, right) => order.holds(&number, right),
            Self::In(set) => set.contains(&number),
            Self::Float(order, right) => order.holds(&(number as f64), right),
        }
    }

    /// Whether a ratio passes.
    pub(crate) fn matches_float(&self, number: f64) -> bool {
        match self {
            Self::Order(order, right) => order.holds(&number, &(*right as f64)),
            Self::In(set) => set
                .iter()
                .any(|member| Order::Equal.holds(&number, &(*member as f64))),
            Self::Float(order, right) => order.holds(&number, right),
        }
    }
}

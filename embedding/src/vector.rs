//! A direction in the model's space: a vector of length one.

use std::sync::Arc;

/// The dimensions of the database's columns. Shorter vectors are padded with zeros, which changes no cosine.
pub const DIMENSIONS: usize = 768;

/// A unit vector; cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector(Arc<[f32]>);

impl Vector {
    /// The direction of these numbers; `None` where they have none.
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !length.is_finite() || length <= f32::EPSILON {
            return None;
        }
        for value in &mut values {
            *value /= length;
        }
        Some(Self(values.into()))
    }

    /// The numbers, as many as the model gives.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// The numbers as the columns hold them.
    pub fn padded(&self) -> Vec<f32> {
        let mut values = self.0.to_vec();
        values.resize(DIMENSIONS, 0.0);
        values
    }

    /// The cosine of the angle to another vector of the same model.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.0.iter().zip(other.0.iter()).map(|(a, b)| a * b).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_changes_no_cosine_and_nothing_has_no_direction() {
        let one = Vector::new(vec![3.0, 4.0]).unwrap();
        let other = Vector::new(vec![1.0, 0.0]).unwrap();
        let padded = |vector: &Vector| Vector::new(vector.padded()).unwrap();

        assert!((one.cosine(&other) - 0.6).abs() < 1e-6);
        assert!((padded(&one).cosine(&padded(&other)) - 0.6).abs() < 1e-6);
        assert_eq!(one.padded().len(), DIMENSIONS);
        assert_eq!(Vector::new(vec![0.0; 3]), None);
        assert_eq!(Vector::new(vec![f32::NAN]), None);
    }
}

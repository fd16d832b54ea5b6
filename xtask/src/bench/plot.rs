//! Plots as SVG: one quantity over another that grows tenfold and more.

use std::fmt::Display;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// A plot: points of the growing thing and what was measured.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) across: &'a str,
    pub(super) up: &'a str,
    pub(super) points: &'a [(f64, f64)],
}

const SIZE: (u32, u32) = (640, 400);
const COLOUR: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);

impl Plot<'_> {
    /// Writes the file.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        self.draw(file)
            .map_err(|error| anyhow!("cannot draw `{}`: {error}", file.display()))
    }

    fn draw(&self, file: &Path) -> Result<(), impl Display + use<>> {
        let text = |error: DrawingAreaErrorKind<std::io::Error>| error.to_string();
        let area = SVGBackend::new(file, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(text)?;
        let (across, up) = self.ranges();
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((across.0..across.1).log_scale(), 0.0..up)
            .map_err(text)?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.up)
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(text)?;
        let points = self.points.iter().copied();
        chart
            .draw_series(LineSeries::new(points.clone(), COLOUR.stroke_width(2)))
            .map_err(text)?;
        let dots = points.map(|point| Circle::new(point, 4, COLOUR.filled()));
        chart.draw_series(dots).map_err(text)?;
        area.present().map_err(text)
    }

    /// What the axes reach over: a logarithm needs more than 0, and a little room is left above.
    fn ranges(&self) -> ((f64, f64), f64) {
        let across = self.points.iter().map(|(x, _)| *x);
        let least = across.clone().fold(f64::MAX, f64::min).max(1e-9);
        let most = across.fold(least * 10.0, f64::max);
        let up = self.points.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        ((least, most), if up > 0.0 { up * 1.1 } else { 1.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_names_its_axes_and_has_its_points() {
        let file = std::env::temp_dir().join(format!("plot-{}.svg", std::process::id()));
        for points in [
            &[(25.0, 1.0), (93.0, 1.5), (1000.0, 0.0)][..],
            &[(1.0, 0.0)],
        ] {
            let plot = Plot {
                title: "Growth",
                across: "rules",
                up: "ns",
                points,
            };
            plot.write(&file).unwrap();
            let svg = std::fs::read_to_string(&file).unwrap();
            assert_eq!(svg.matches("<circle").count(), points.len());
            for word in ["Growth", "rules", "ns"] {
                assert!(svg.contains(word), "{word}");
            }
        }
        std::fs::remove_file(file).unwrap();
    }
}

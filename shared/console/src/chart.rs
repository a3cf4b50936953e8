//! Charts as SVG.
//!
//! The crate writes colours as presentation attributes. The colours here are names: the style sheet gives each its colour in
//! light and dark.

use plotters::{
    coord::Shift,
    prelude::{
        AreaSeries, ChartBuilder, DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, LineSeries, RGBColor,
        Rectangle, SVGBackend,
    },
    style::{Color, IntoFont, TextStyle},
};

/// The colour of what succeeded, `#010203` in the style sheet.
const GOOD: RGBColor = RGBColor(1, 2, 3);
/// The colour of what failed, `#030201`.
const BAD: RGBColor = RGBColor(3, 2, 1);
/// The colour of axes, `#040506`.
const AXIS: RGBColor = RGBColor(4, 5, 6);
/// The colour of labels, `#060504`.
const LABEL: RGBColor = RGBColor(6, 5, 4);
/// The colour of an area, `#020202`.
const AREA: RGBColor = RGBColor(2, 2, 2);
const FONT: (&str, u32) = ("sans-serif", 13);

/// The size of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// For wide windows.
    Wide,
    /// For phones.
    Narrow,
}

impl Size {
    const fn pixels(self) -> (u32, u32) {
        match self {
            Self::Wide => (560, 220),
            Self::Narrow => (300, 200),
        }
    }

    /// Returns the largest number of labels of the horizontal axis.
    const fn labels(self) -> usize {
        match self {
            Self::Wide => 9,
            Self::Narrow => 5,
        }
    }
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a bar for each pair of successes and failures.
pub(crate) fn bars(size: Size, values: &[(u64, u64)], label: &dyn Fn(usize) -> String) -> Option<String> {
    let highest = values.iter().map(|(good, bad)| good + bad).max().unwrap_or(0);
    draw(size, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(16)
            .x_label_area_size(26)
            .y_label_area_size(left(highest))
            .build_cartesian_2d(0.0..count(values.len()), 0.0..top(highest))?;
        mesh(&mut chart, size, label)?;
        for (index, (good, bad)) in values.iter().enumerate() {
            let (from, to) = (count(index) + 0.12, count(index) + 0.88);
            let (middle, end) = (number(*good), number(good + bad));
            if *good > 0 {
                let bar = Rectangle::new([(from, 0.0), (to, middle)], GOOD.filled());
                chart.draw_series(std::iter::once(bar))?;
            }
            if *bad > 0 {
                let bar = Rectangle::new([(from, middle), (to, end)], BAD.filled());
                chart.draw_series(std::iter::once(bar))?;
            }
        }
        Ok(())
    })
}

/// Draws a line through the values at these positions.
pub(crate) fn line(
    size: Size,
    end: usize,
    values: &[(usize, u64)],
    label: &dyn Fn(usize) -> String,
) -> Option<String> {
    let highest = values.iter().map(|(_, value)| *value).max().unwrap_or(0);
    draw(size, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(16)
            .x_label_area_size(26)
            .y_label_area_size(left(highest))
            .build_cartesian_2d(0.0..count(end), 0.0..top(highest))?;
        mesh(&mut chart, size, label)?;
        let points = || values.iter().map(|(at, value)| (count(*at), number(*value)));
        chart.draw_series(AreaSeries::new(points(), 0.0, AREA.filled()))?;
        chart.draw_series(LineSeries::new(points(), GOOD.stroke_width(2)))?;
        Ok(())
    })
}

fn draw(size: Size, content: impl FnOnce(&Area<'_>) -> Drawn) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size.pixels()).into_drawing_area();
        content(&area).ok()?;
        area.present().ok()?;
    }
    Some(svg)
}

type Chart<'a, 'b> = plotters::chart::ChartContext<
    'a,
    SVGBackend<'b>,
    plotters::coord::cartesian::Cartesian2d<
        plotters::coord::types::RangedCoordf64,
        plotters::coord::types::RangedCoordf64,
    >,
>;

fn mesh(chart: &mut Chart<'_, '_>, size: Size, label: &dyn Fn(usize) -> String) -> Drawn {
    let style: TextStyle<'_> = FONT.into_font().color(&LABEL);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(plotters::style::colors::TRANSPARENT)
        .bold_line_style(AXIS)
        .axis_style(AXIS)
        .label_style(style)
        .x_labels(size.labels())
        .y_labels(4)
        .x_label_formatter(&|x| label(index(*x)))
        .y_label_formatter(&|y| whole(*y))
        .draw()
}

/// Returns the width of the labels of the vertical axis.
fn left(highest: u64) -> u32 {
    let digits = highest.to_string().len();
    u32::try_from(20 + 8 * digits).unwrap_or(90)
}

/// Returns the upper end of the vertical axis.
fn top(highest: u64) -> f64 {
    number(highest.max(4)) * 1.1
}

/// Returns the label of a position of the vertical axis, or nothing between two whole numbers.
fn whole(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { String::new() }
}

#[expect(clippy::cast_precision_loss, reason = "a chart does not show more than 52 bits")]
fn number(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "a chart has few positions")]
fn count(value: usize) -> f64 {
    value as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are small and not negative"
)]
fn index(position: f64) -> usize {
    position.max(0.0).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_has_no_style_and_no_script() {
        let label = |index: usize| format!("{index}");
        for size in [Size::Wide, Size::Narrow] {
            let bars = bars(size, &[(3, 1), (0, 0), (0, 2)], &label).unwrap();
            let line = line(size, 720, &[(0, 10), (700, 12)], &label).unwrap();
            for svg in [&bars, &line] {
                assert!(
                    svg.starts_with("<svg") && !svg.contains("style=") && !svg.contains("<style"),
                    "{svg}"
                );
            }
            assert_eq!(bars.matches("#030201").count(), 2, "{bars}");
        }
    }
}

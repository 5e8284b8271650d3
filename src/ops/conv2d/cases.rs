//! Test cases of the convolution.

use crate::ops::table::{Case, Fill, Input};
use crate::ops::{Act, add, scale};

use super::gradient::Conv2dDx;
use super::{Conv, Epilogue, conv2d, conv2d_fused};

/// `x [b,h,w,ci]`, kernel `[kh,kw]` to `co` channels.
fn case(name: &str, x: [usize; 4], kernel: [usize; 2], co: usize, bias: bool, conv: Conv) -> Case {
    let ci = if conv.groups == 1 { x[3].next_multiple_of(4) } else { x[3] / conv.groups };
    let shape = [kernel[0], kernel[1], ci, co];
    let image = Input::f32(&x, Fill::Uniform(-1.0, 1.0));
    // Rows beyond the true channels are zero by contract.
    let rows = if conv.groups == 1 { x[3] } else { ci };
    let row = |i: usize| if (i / co) % ci < rows { ((i * 37 % 101) as f32 - 50.0) / 50.0 } else { 0.0 };
    let weights = Fill::Values((0..shape.iter().product()).map(row).collect());
    let mut inputs = vec![image, Input::f32(&shape, weights)];
    if bias {
        inputs.push(Input::f32(&[co], Fill::Uniform(-1.0, 1.0)));
    }
    Case::new(name, inputs, move |t, v| Ok(vec![conv2d(t, v[0], v[1], v.get(2).copied(), conv)?]))
}

/// As [`case`] with all that a kernel can do on the way: bias, residual connection, activation.
fn fused(name: &str, x: [usize; 4], kernel: [usize; 2], co: usize, act: Act, conv: Conv) -> Case {
    let mut plain = case(name, x, kernel, co, true, conv);
    let size = conv.output_size(&x, &plain.inputs[1].shape).expect("the kernel fits");
    // Sums of many terms of both signs: some lie beyond either bound, and few so near that a difference steps over it.
    plain.inputs[0].fill = Fill::Uniform(-3.0, 3.0);
    plain.inputs.push(Input::f32(&[x[0], size.0, size.1, co], Fill::Uniform(-2.0, 8.0)));
    Case::new(name, plain.inputs, move |t, v| {
        let epilogue = Epilogue { bias: Some(v[2]), skip: Some(v[3]), act };
        Ok(vec![conv2d_fused(t, v[0], v[1], epilogue, conv)?])
    })
}

/// The gradient with respect to x, added to what was there before.
fn accumulated(name: &str, x: [usize; 4], kernel: [usize; 2], co: usize, conv: Conv) -> Case {
    let mut plain = case(name, x, kernel, co, false, conv);
    let size = conv.output_size(&x, &plain.inputs[1].shape).expect("the kernel fits");
    let dy = Input::fixed(&[x[0], size.0, size.1, co], Fill::Uniform(-1.0, 1.0));
    plain.inputs.iter_mut().for_each(|i| i.grad = false);
    plain.inputs.push(dy);
    Case::new(name, plain.inputs, move |t, v| {
        let known = scale(t, v[0], 3.0)?;
        let op = Conv2dDx { conv, x_shape: x.to_vec(), accumulate: true };
        t.push_into(op, &[v[2], v[1], known], &[known])?;
        Ok(vec![])
    })
}

/// `2 (h + relu(conv(h)))` with `h = 4 x` (powers of two, which round nothing in `f16`): two gradients of h meet, and one is
/// added to the other in place.
fn residual(name: &str, kernel: usize, groups: usize) -> Case {
    let conv = Conv { padding: kernel / 2, groups, ..Conv::default() };
    let plain = case(name, [2, 5, 7, 6], [kernel, kernel], 6, false, conv);
    Case::new(name, plain.inputs, move |t, v| {
        let h = scale(t, v[0], 4.0)?;
        let epilogue = Epilogue { bias: None, skip: None, act: Act::Relu };
        let y = conv2d_fused(t, h, v[1], epilogue, conv)?;
        let sum = add(t, h, y, 1.0)?;
        Ok(vec![scale(t, sum, 2.0)?])
    })
}

pub fn cases() -> Vec<Case> {
    let plain = Conv::default();
    let same = Conv { padding: 1, ..plain };
    let wide = Conv { padding: 4, ..plain };
    let half = Conv { stride: 2, padding: 1, ..plain };
    let stem = Conv { stride: 2, padding: 3, ..plain };
    let spread = |dilation| Conv { padding: dilation, dilation, ..plain };
    vec![
        case("1x1, 3 to 5, bias", [2, 3, 7, 3], [1, 1], 5, true, plain),
        case("1x1, 40 to 24", [1, 13, 9, 40], [1, 1], 24, false, plain),
        case("1x1, 36 to 70, bias", [2, 7, 5, 36], [1, 1], 70, true, plain),
        case("1x1, stride 2", [2, 7, 9, 8], [1, 1], 12, false, Conv { stride: 2, ..plain }),
        case("3x3, stride 2, 3 to 20", [2, 9, 11, 3], [3, 3], 20, false, half),
        case("3x3, 13 to 33, bias", [1, 7, 10, 13], [3, 3], 33, true, same),
        case("3x3, dilation 2", [1, 9, 8, 16], [3, 3], 36, false, Conv { padding: 2, dilation: 2, ..plain }),
        case("3x1 kernel", [1, 9, 8, 5], [3, 1], 7, false, plain),
        // The first convolution of a residual network, and its dilated blocks.
        case("7x7, stride 2, 3 to 20", [2, 11, 14, 3], [7, 7], 20, false, stem),
        case("7x7, stride 2, 13 to 6", [1, 10, 13, 13], [7, 7], 6, false, stem),
        case("7x7, stride 2, smaller than the kernel", [2, 3, 4, 3], [7, 7], 9, true, stem),
        case("3x3, dilation 4", [1, 11, 9, 13], [3, 3], 12, false, spread(4)),
        case("3x3, dilation 4, smaller than its reach", [1, 3, 5, 12], [3, 3], 17, false, spread(4)),
        case("5x5, stride 3", [1, 12, 13, 4], [5, 5], 6, false, Conv { stride: 3, padding: 2, ..plain }),
        // More zeros than the kernel reaches back: the gradient starts inside the image.
        case("1x1, padding 1", [2, 4, 5, 6], [1, 1], 9, true, same),
        case("3x3, padding 4", [1, 5, 6, 5], [3, 3], 7, false, wide),
        case(
            "3x3, stride 2, padding 3",
            [1, 6, 5, 4],
            [3, 3],
            8,
            false,
            Conv { stride: 2, padding: 3, ..plain },
        ),
        case("depthwise 3x3, padding 4", [1, 5, 6, 7], [3, 3], 7, false, Conv { groups: 7, ..wide }),
        case("depthwise 1x1, padding 1", [1, 4, 5, 4], [1, 1], 4, false, Conv { groups: 4, ..same }),
        case("2 groups, padding 4", [1, 5, 4, 6], [3, 3], 8, false, Conv { groups: 2, ..wide }),
        case("one pixel", [1, 1, 1, 1], [1, 1], 1, true, plain),
        case("depthwise 3x3", [2, 7, 9, 13], [3, 3], 13, false, Conv { groups: 13, ..same }),
        case("depthwise 3x3, no padding", [1, 6, 7, 8], [3, 3], 8, false, Conv { groups: 8, ..plain }),
        case("depthwise 3x3, stride 2", [2, 8, 11, 6], [3, 3], 6, false, Conv { groups: 6, ..half }),
        case(
            "depthwise 3x3, dilation 2",
            [1, 9, 10, 8],
            [3, 3],
            8,
            false,
            Conv { groups: 8, padding: 2, dilation: 2, ..plain },
        ),
        // Several strips of rows, more than 8 vec4s to a pixel.
        case("depthwise 3x3, 37 rows", [2, 37, 10, 45], [3, 3], 45, true, Conv { groups: 45, ..same }),
        case(
            "depthwise 3x3, 69 rows, stride 2",
            [1, 69, 22, 45],
            [3, 3],
            45,
            false,
            Conv { groups: 45, ..half },
        ),
        case("depthwise 5x5", [1, 9, 7, 4], [5, 5], 4, false, Conv { groups: 4, padding: 2, ..plain }),
        case("depthwise with bias", [1, 5, 7, 6], [3, 3], 6, true, Conv { groups: 6, ..same }),
        case("depthwise, 2 outputs per input", [1, 5, 6, 3], [3, 3], 6, false, Conv { groups: 3, ..same }),
        case("2 groups, bias", [2, 5, 7, 6], [3, 3], 10, true, Conv { groups: 2, ..half }),
        fused("fused, 1x1, relu", [2, 3, 7, 3], [1, 1], 5, Act::Relu, plain),
        fused("fused, 1x1, 36 to 70, relu6", [1, 7, 5, 36], [1, 1], 70, Act::Relu6, plain),
        fused("fused, 3x3, dilation 2, relu", [1, 7, 8, 13], [3, 3], 13, Act::Relu, spread(2)),
        fused("fused, 7x7, stride 2, relu", [1, 9, 12, 3], [7, 7], 18, Act::Relu, stem),
        fused("fused, 3x3, stride 2", [2, 9, 7, 6], [3, 3], 21, Act::None, half),
        fused(
            "fused, depthwise 3x3, relu6",
            [2, 7, 9, 13],
            [3, 3],
            13,
            Act::Relu6,
            Conv { groups: 13, ..same },
        ),
        fused("fused, depthwise, stride 2", [1, 8, 11, 6], [3, 3], 6, Act::Relu, Conv { groups: 6, ..half }),
        fused("fused, 2 groups, relu6", [1, 5, 7, 6], [3, 3], 10, Act::Relu6, Conv { groups: 2, ..same }),
        accumulated("added, 1x1, 5 to 33", [2, 3, 7, 5], [1, 1], 33, plain),
        accumulated("added, 3x3, stride 2, 21 to 6", [1, 9, 7, 21], [3, 3], 6, half),
        accumulated("added, 3x3, dilation 2, 13 to 21", [1, 9, 7, 13], [3, 3], 21, spread(2)),
        accumulated("added, 1x1, stride 2, 13 to 21", [1, 9, 8, 13], [1, 1], 21, Conv { stride: 2, ..plain }),
        accumulated("added, depthwise 3x3", [1, 7, 9, 13], [3, 3], 13, Conv { groups: 13, ..same }),
        accumulated("added, depthwise, stride 2", [1, 8, 11, 6], [3, 3], 6, Conv { groups: 6, ..half }),
        accumulated("added, 2 groups", [1, 5, 7, 6], [3, 3], 10, Conv { groups: 2, ..same }),
        residual("residual, 1x1", 1, 1),
        residual("residual, depthwise", 3, 6),
        // Many pixels: several splits, whose partial results are added.
        case("1x1, 60,000 pixels", [1, 200, 300, 12], [1, 1], 12, true, plain),
        case("1x1, one long line", [1, 1, 70_001, 4], [1, 1], 3, true, plain),
        case("depthwise, 20,000 pixels", [1, 100, 200, 4], [3, 3], 4, false, Conv { groups: 4, ..same }),
    ]
}

//! Sun, sky and air: what time it is and what the weather does to every colour.

use super::math;
use super::noise::{fractal, rgb, smooth};
use crate::rng::Rng;
use glam::{Vec2, Vec3};

/// A kind of weather, as it is on most of its days.
struct Weather {
    /// How likely it is; all add up to 1.
    chance: f32,
    /// Height of the sun in degrees, lowest and highest.
    elevation: (f32, f32),
    /// Strength of the sun, in units of the brightest light from the sky.
    strength: f32,
    /// Colour of the sun.
    direct: u32,
    /// Colour of the light from the sky, before `adapted`.
    ambient: u32,
    /// Strength of that light as the eye takes it: a closed sky gives nearly all there is, at dusk the eye has adapted.
    adapted: f32,
    /// Colour of the sky straight up.
    zenith: u32,
    /// Colour of the sky at the horizon.
    horizon: u32,
    /// Share of light lost to haze per metre.
    haze: f32,
    /// Clouds, fewest and most.
    clouds: (f32, f32),
    /// See [`Light::lamps`].
    lamps: f32,
}

/// Sunshine, low sun, closed sky, mist, dusk.
const WEATHERS: [Weather; 5] = [
    Weather {
        chance: 0.40,
        elevation: (32.0, 62.0),
        strength: 2.1,
        direct: 0xfff3dc,
        ambient: 0xa9c4ee,
        adapted: 0.80,
        zenith: 0x3f7fd0,
        horizon: 0xc4dcf2,
        haze: 0.0016,
        clouds: (0.2, 0.6),
        lamps: 0.03,
    },
    Weather {
        chance: 0.22,
        elevation: (14.0, 26.0),
        strength: 1.9,
        direct: 0xffc98a,
        ambient: 0xa8b2dc,
        adapted: 0.80,
        zenith: 0x5a86c4,
        horizon: 0xf6d2a4,
        haze: 0.0034,
        clouds: (0.25, 0.65),
        lamps: 0.12,
    },
    Weather {
        chance: 0.20,
        elevation: (40.0, 60.0),
        strength: 0.22,
        direct: 0xf2f4ff,
        ambient: 0xdfe6f0,
        adapted: 1.05,
        zenith: 0xa9b6c6,
        horizon: 0xd9e0e8,
        haze: 0.0045,
        clouds: (0.8, 1.0),
        lamps: 0.10,
    },
    Weather {
        chance: 0.10,
        elevation: (20.0, 40.0),
        strength: 0.75,
        direct: 0xfff0d8,
        ambient: 0xd0d8e6,
        adapted: 0.80,
        zenith: 0xa9c0d8,
        horizon: 0xe4e8ea,
        haze: 0.0120,
        clouds: (0.5, 0.8),
        lamps: 0.08,
    },
    Weather {
        chance: 0.08,
        elevation: (10.0, 16.0),
        strength: 0.42,
        direct: 0xff9d72,
        ambient: 0x8f96d0,
        adapted: 1.15,
        zenith: 0x3a4a86,
        horizon: 0xe59a86,
        haze: 0.0040,
        clouds: (0.3, 0.6),
        lamps: 0.45,
    },
];

/// The light of one scene, in linear colours.
#[derive(Clone, Debug)]
pub(super) struct Light {
    /// Unit vector towards the sun.
    pub sun: Vec3,
    /// Direct light on a surface that faces the sun.
    pub direct: Vec3,
    /// Light from the sky on a surface that faces up.
    pub ambient: Vec3,
    /// Light thrown back by the ground on a surface that faces down.
    pub bounce: Vec3,
    /// Colour of the sky straight up.
    pub zenith: Vec3,
    /// Colour of the sky at the horizon, which is also the colour of haze.
    pub horizon: Vec3,
    /// Share of light lost to haze per metre.
    pub haze: f32,
    /// 0 = blue sky, 1 = closed clouds.
    pub clouds: f32,
    /// Share of windows with a lamp on, and whether street and car lights are on (above 0.2).
    pub lamps: f32,
    seed: u32,
}

impl Light {
    /// A time of day and a weather at random.
    pub fn random(rng: &mut Rng) -> Self {
        let azimuth = rng.range(0.0, std::f32::consts::TAU);
        let mut draw = rng.uniform();
        let jitter = rng.range(0.85, 1.15);
        let chosen = WEATHERS.iter().find(|w| {
            draw -= w.chance;
            draw < 0.0
        });
        let weather = chosen.unwrap_or(&WEATHERS[4]);
        let elevation = rng.range(weather.elevation.0, weather.elevation.1).to_radians();
        let (sin, cos) = (math::sin(elevation), math::cos(elevation));
        let clouds = rng.range(weather.clouds.0, weather.clouds.1);
        let direct = rgb(weather.direct) * weather.strength;
        let ambient = rgb(weather.ambient) * weather.adapted;
        Self {
            sun: Vec3::new(math::sin(azimuth) * cos, sin, math::cos(azimuth) * cos),
            direct: direct * jitter,
            ambient,
            bounce: Vec3::new(0.36, 0.33, 0.29) * (ambient + direct * sin * 0.45),
            zenith: rgb(weather.zenith) * jitter,
            horizon: rgb(weather.horizon),
            haze: weather.haze * rng.range(0.6, 1.5),
            clouds,
            lamps: weather.lamps,
            seed: rng.bits(),
        }
    }

    /// Light leaving a matt surface with unit `normal`, `lit` (0..=1) of the sun reaching it.
    #[inline]
    pub fn shade(&self, albedo: Vec3, normal: Vec3, lit: f32) -> Vec3 {
        let up = 0.5 + 0.5 * normal.y;
        let sun = normal.dot(self.sun).max(0.0) * lit;
        albedo * (self.bounce.lerp(self.ambient, up) + self.direct * sun)
    }

    /// `color` seen through `distance` metres of air.
    #[inline]
    pub fn through_air(&self, color: Vec3, distance: f32) -> Vec3 {
        color.lerp(self.horizon, 1.0 - math::exp(-self.haze * distance))
    }

    /// The sky in unit direction `ray`, without clouds: what glass and paint mirror.
    #[inline]
    pub fn mirror(&self, ray: Vec3) -> Vec3 {
        let height = ray.y.clamp(0.0, 1.0);
        self.horizon.lerp(self.zenith, 1.0 - math::power(1.0 - height, 3))
    }

    /// The sky in unit direction `ray`, with clouds and the glow around the sun.
    pub fn sky(&self, ray: Vec3) -> Vec3 {
        let clear = self.mirror(ray);
        let near_sun = ray.dot(self.sun).max(0.0);
        let glow = self.direct
            * (0.10 * math::power(near_sun, 6) + 0.35 * math::power(near_sun, 48))
            * (1.0 - 0.6 * self.clouds);
        let disc = self.direct * 4.0 * smooth(0.9990, 0.9996, near_sun) * (1.0 - self.clouds);
        let plane = Vec2::new(ray.x, ray.z) / (ray.y.max(0.0) + 0.16);
        let warp = fractal(self.seed ^ 77, plane * 0.9, 2);
        let thick = fractal(self.seed, plane * Vec2::new(1.1, 1.5) + Vec2::splat(warp), 5);
        let cover = smooth(0.80 - 0.55 * self.clouds, 1.02 - 0.5 * self.clouds, thick);
        let towards_sun = Vec2::new(self.sun.x, self.sun.z) * 0.18;
        let shaded = fractal(self.seed, plane * Vec2::new(1.1, 1.5) + Vec2::splat(warp) + towards_sun, 2);
        let bright = (0.62 + 0.9 * (thick - shaded)).clamp(0.35, 1.1);
        let cloud = (self.ambient * 0.75 + self.direct * 0.32 + self.horizon * 0.25) * bright;
        let fade = smooth(0.0, 0.12, ray.y);
        (clear + glow).lerp(cloud, cover * (0.35 + 0.6 * fade)) + disc
    }
}

/* One block in 64-bit integers, for any state and any value of the function.
 *
 * scale and unit have an entry for each of the block's.
 */

/* w: the increment (1 - gamma) f in units, and LOST where it is not finite or has no place. */
#ifndef INCREMENT
#define INCREMENT(w, value, scale)                                                                 \
    double w##_real = rint((double)(value) * (scale));                                             \
    double w##_held = fabs(w##_real) <= LARGEST_INCREMENT ? w##_real : LOST;                       \
    I w = (I)w##_held;
#endif

/* out = {checksum of the velocity before the layer, largest magnitude after it} */
static void NAME(advance_exact)(I m, I first, I *restrict x, I *restrict v, I *restrict b,
                                const REAL *restrict f, REAL *restrict y, Layer c,
                                const double *restrict scale, const REAL *restrict unit,
                                I *restrict out) {
    const double inverse_d = 1.0 / (double)c.d, inverse_after = 1.0 / (double)c.after;
    I sum = 0, peak = LEAST_PEAK;
    for (I j = 0; j < m; j++) {
        I vj = v[j];
        sum += vj * (2 * (first + j) + 1);
        FLOOR_DIV(q, r, vj, c.d, inverse_d)
        I joint = r * c.before + b[j];
        SMALL_DIV(s, rest, joint, c.after, inverse_after)
        b[j] = rest;
        INCREMENT(w, f[j], scale[j])
        I v_new = q * c.n + s + w, x_new = x[j] + v_new;
        v[j] = v_new;
        x[j] = x_new;
        y[j] = (REAL)x_new * unit[j];
        peak = larger(peak, larger(magnitude(w), larger(magnitude(v_new), magnitude(x_new))));
    }
    out[0] = sum;
    out[1] = peak;
}

static void NAME(advance_exact_free)(I m, I first, I *restrict x, I *restrict v,
                                     const REAL *restrict f, REAL *restrict y,
                                     const double *restrict scale, const REAL *restrict unit,
                                     I *restrict out) {
    I sum = 0, peak = LEAST_PEAK;
    for (I j = 0; j < m; j++) {
        I vj = v[j];
        sum += vj * (2 * (first + j) + 1);
        INCREMENT(w, f[j], scale[j])
        I v_new = vj + w, x_new = x[j] + v_new;
        v[j] = v_new;
        x[j] = x_new;
        y[j] = (REAL)x_new * unit[j];
        peak = larger(peak, larger(magnitude(w), larger(magnitude(v_new), magnitude(x_new))));
    }
    out[0] = sum;
    out[1] = peak;
}

static void NAME(expose_exact)(I m, I *restrict x, const I *restrict v, REAL *restrict y,
                               const REAL *restrict unit) {
    for (I j = 0; j < m; j++) {
        I x_old = x[j] - v[j];
        x[j] = x_old;
        y[j] = (REAL)x_old * unit[j];
    }
}

static I NAME(retreat_exact)(I m, I first, I *restrict v, I *restrict b, const REAL *restrict f,
                             Layer c, const double *restrict scale) {
    const double inverse_n = 1.0 / (double)c.n, inverse_before = 1.0 / (double)c.before;
    I sum = 0;
    for (I j = 0; j < m; j++) {
        INCREMENT(w, f[j], scale[j])
        I kept = v[j] - w;
        FLOOR_DIV(q, s, kept, c.n, inverse_n)
        I joint = s * c.after + b[j];
        SMALL_DIV(r, rest, joint, c.before, inverse_before)
        b[j] = rest;
        I v_old = q * c.d + r;
        v[j] = v_old;
        sum += v_old * (2 * (first + j) + 1);
    }
    return sum;
}

static I NAME(retreat_exact_free)(I m, I first, I *restrict v, const REAL *restrict f,
                                  const double *restrict scale) {
    I sum = 0;
    for (I j = 0; j < m; j++) {
        INCREMENT(w, f[j], scale[j])
        I v_old = v[j] - w;
        v[j] = v_old;
        sum += v_old * (2 * (first + j) + 1);
    }
    return sum;
}

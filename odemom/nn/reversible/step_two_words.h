/* One block of numbers of two words: hi + lo 2^-64 in units of the first, as in two_words.py.
 *
 * The second words stand `size` entries behind the first ones. scale and unit have an entry for
 * each of the block's.
 */
#ifndef TWO_WORDS
#define TWO_WORDS
#define LOW 0xffffffff
#define TWO_32 4294967296.0
#define TWO_64 18446744073709551616.0

typedef struct {
    I hi;
    U lo;
} Number;

/* The carries of digits that have outgrown [0, 2^32), base 2^32, the first one signed. */
static inline Number carried(I high, I middle, I low) {
    middle += low >> 32;
    Number a = {high + (middle >> 32), ((U)middle << 32) + ((U)low & LOW)};
    return a;
}

static inline Number plus(Number a, Number b) {
    Number c = {a.hi + b.hi, a.lo + b.lo};
    c.hi += c.lo < a.lo;
    return c;
}

static inline Number minus(Number a, Number b) {
    Number c = {a.hi - b.hi, a.lo - b.lo};
    c.hi -= a.lo < b.lo;
    return c;
}

static inline Number number_of(double real) {
    real = rint(real * TWO_64) / TWO_64;
    if (!(fabs(real) <= LARGEST_INCREMENT)) real = LOST;
    I high = (I)real;
    double rest = (real - (double)high) * TWO_32;
    I middle = (I)rest;
    U low = (U)(I)((rest - (double)middle) * TWO_32);
    Number a = {high - (rest < 0), ((U)middle << 32) + low};
    return a;
}

static inline double real_of(Number a) {
    return (double)(a.hi + ((I)a.lo < 0)) + (double)(I)a.lo / TWO_64;
}

/* a = m q + r, J = r M + b = r' M' + b', and m' q + r' is returned. */
static inline Number rescaled(Number a, I m, double inverse, I M, I *b, I M_new, double inverse_new,
                              I m_new) {
    FLOOR_DIV(high, r_high, a.hi, m, inverse)
    I joined = (r_high << 32) + (I)(a.lo >> 32);
    FLOOR_DIV(middle, r_middle, joined, m, inverse)
    I last = (r_middle << 32) + (I)(a.lo & LOW);
    FLOOR_DIV(low, r, last, m, inverse)
    I joint = r * M + *b;
    SMALL_DIV(r_new, rest, joint, M_new, inverse_new)
    *b = rest;
    return carried(high * m_new, middle * m_new, low * m_new + r_new);
}

static inline I checked(Number a, I j) { return (I)(3 * (U)a.hi + a.lo) * (2 * j + 1); }
#endif

static void NAME(advance_two_words)(I m, I first, I size, I *restrict x, I *restrict v,
                                    I *restrict b, const REAL *restrict f, REAL *restrict y,
                                    Layer c, const double *restrict scale,
                                    const REAL *restrict unit, I *restrict out) {
    const double inverse_d = 1.0 / (double)c.d, inverse_after = 1.0 / (double)c.after;
    I sum = 0, peak = LEAST_PEAK;
    for (I j = 0; j < m; j++) {
        Number v_j = {v[j], (U)v[size + j]}, x_j = {x[j], (U)x[size + j]};
        sum += checked(v_j, first + j);
        if (c.n != c.d)
            v_j = rescaled(v_j, c.d, inverse_d, c.before, b + j, c.after, inverse_after, c.n);
        Number w = number_of((double)f[j] * scale[j]);
        v_j = plus(v_j, w);
        x_j = plus(x_j, v_j);
        v[j] = v_j.hi, v[size + j] = (I)v_j.lo;
        x[j] = x_j.hi, x[size + j] = (I)x_j.lo;
        y[j] = (REAL)real_of(x_j) * unit[j];
        peak = larger(peak, larger(magnitude(w.hi), larger(magnitude(v_j.hi), magnitude(x_j.hi))));
    }
    out[0] = sum;
    out[1] = peak;
}

static void NAME(expose_two_words)(I m, I size, I *restrict x, const I *restrict v,
                                   REAL *restrict y, const REAL *restrict unit) {
    for (I j = 0; j < m; j++) {
        Number v_j = {v[j], (U)v[size + j]}, x_j = {x[j], (U)x[size + j]};
        x_j = minus(x_j, v_j);
        x[j] = x_j.hi, x[size + j] = (I)x_j.lo;
        y[j] = (REAL)real_of(x_j) * unit[j];
    }
}

static I NAME(retreat_two_words)(I m, I first, I size, I *restrict v, I *restrict b,
                                 const REAL *restrict f, Layer c, const double *restrict scale) {
    const double inverse_n = 1.0 / (double)c.n, inverse_before = 1.0 / (double)c.before;
    I sum = 0;
    for (I j = 0; j < m; j++) {
        Number v_j = {v[j], (U)v[size + j]};
        v_j = minus(v_j, number_of((double)f[j] * scale[j]));
        if (c.n != c.d)
            v_j = rescaled(v_j, c.n, inverse_n, c.after, b + j, c.before, inverse_before, c.d);
        v[j] = v_j.hi, v[size + j] = (I)v_j.lo;
        sum += checked(v_j, first + j);
    }
    return sum;
}

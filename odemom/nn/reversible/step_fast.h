/* Entries of a block in vectors, where velocities and increments are small: exact in doubles.
 *
 * scale and unit are read at multiples of `stride`, 0 or 1: the block's own, or LANES equal ones.
 * m is a multiple of WIDTH. Both ways return how many entries they have done: all of them, or those
 * before the first WIDTH in which a velocity or an increment is not small.
 */
#define VALUES NAME(values)
typedef REAL VALUES VECTOR(REAL);

/* What the bias did not convert, done again: x as floats, and the peak. */
static I NAME(shown_exactly)(I m, const I *restrict x, REAL *restrict y, const REAL *restrict unit,
                             I stride) {
    I peak = LEAST_PEAK;
    for (I j = 0; j < m; j++) {
        y[j] = (REAL)x[j] * unit[j * stride];
        peak = larger(peak, magnitude(x[j]));
    }
    return peak;
}

__attribute__((always_inline)) static inline I
NAME(advance_vectors)(int kind, I m, I first, I *restrict x, I *restrict v, I *restrict b,
                      const REAL *restrict f, REAL *restrict y, Layer c,
                      const double *restrict scale, const REAL *restrict unit, I stride,
                      I *restrict out) {
    const double n = (double)c.n, d = (double)c.d;
    const double inverse_d = 1.0 / d, inverse_after = 1.0 / (double)c.after;
    const Ratios ratios = joint_ratios(c.before, c.after);
    Check check = {{0}, {0}};
    IV beyond = {0};
    I j = 0;
    for (; j < m; j += WIDTH) {
        IV v_bits[GROUP], x_bits[GROUP], large = {0};
        DV v_j[GROUP], q[GROUP], r[GROUP], v_m[GROUP]; /* first w, then q n + w, then v' */
        EACH v_bits[u] = LOAD(IV, AT(v)) + MAGIC_BITS;
        EACH v_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH large |= FROM_LEAST(v_bits[u], SMALL_BITS) | FROM_LEAST((IV)v_m[u], SMALL_BITS);
        if (!all_fit(large, SMALL_BITS + 1)) break;
        EACH v_j[u] = (DV)v_bits[u] - MAGIC;
        EACH { CHECK(check, v_bits[u]) }
        if (kind == FREE) {
            EACH v_m[u] += v_j[u];
        } else {
            EACH q[u] = quotient(v_j[u] + SHIFT(d), inverse_d);
            EACH r[u] = fused(q[u], all(-d), v_j[u]);
            EACH v_m[u] = fused(q[u], all(n), v_m[u]);
            exchange(kind, r, b + j, c.before, c.after, inverse_after, ratios);
            EACH v_m[u] += r[u];
        }
        EACH x_bits[u] = LOAD(IV, AT(x)) + (IV)v_m[u];
        EACH STORE(IV, AT(v), (IV)v_m[u] - MAGIC_BITS);
        EACH STORE(IV, AT(x), x_bits[u] - MAGIC_BITS);
        EACH STORE(VALUES, AT(y),
              __builtin_convertvector((DV)x_bits[u] - MAGIC, VALUES) *
                  LOAD(VALUES, unit + (j + u * LANES) * stride));
        EACH beyond |= FROM_LEAST(x_bits[u], MAGIC_LIMIT);
    }
    out[0] = checksum(check, j, first);
    out[1] = all_fit(beyond, MAGIC_LIMIT + 1) ? LEAST_PEAK
                                              : NAME(shown_exactly)(j, x, y, unit, stride);
    return j;
}

__attribute__((always_inline)) static inline I
NAME(retreat_vectors)(int kind, I m, I first, I *restrict v, I *restrict b,
                      const REAL *restrict f, Layer c, const double *restrict scale, I stride,
                      I *restrict sum) {
    const double n = (double)c.n, d = (double)c.d;
    const double inverse_n = 1.0 / n, inverse_before = 1.0 / (double)c.before;
    const Ratios ratios = joint_ratios(c.after, c.before);
    const int small = small_bits_back(c.n, c.d);
    Check check = {{0}, {0}};
    I j = 0;
    for (; j < m; j += WIDTH) {
        IV v_bits[GROUP], large = {0};
        DV kept[GROUP], q[GROUP], s[GROUP], v_m[GROUP];
        EACH v_bits[u] = LOAD(IV, AT(v)) + MAGIC_BITS;
        EACH v_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH large |= FROM_LEAST(v_bits[u], small) | FROM_LEAST((IV)v_m[u], small);
        if (!all_fit(large, small + 1)) break;
        EACH kept[u] = (DV)v_bits[u] - v_m[u];
        if (kind == FREE) {
            EACH v_m[u] = kept[u] + MAGIC;
        } else {
            EACH q[u] = quotient(kept[u] + SHIFT(n), inverse_n);
            EACH s[u] = fused(q[u], all(-n), kept[u]);
            EACH v_m[u] = fused(q[u], all(d), all(MAGIC));
            exchange(kind, s, b + j, c.after, c.before, inverse_before, ratios);
            EACH v_m[u] += s[u];
        }
        EACH STORE(IV, AT(v), (IV)v_m[u] - MAGIC_BITS);
        EACH { CHECK(check, (IV)v_m[u]) }
    }
    *sum = checksum(check, j, first);
    return j;
}

static void NAME(expose_vectors)(I m, I *restrict x, const I *restrict v, REAL *restrict y,
                                 const REAL *restrict unit, I stride) {
    IV beyond = {0};
    for (I j = 0; j < m; j += LANES) {
        IV x_old = LOAD(IV, x + j) - LOAD(IV, v + j), x_bits = x_old + MAGIC_BITS;
        STORE(IV, x + j, x_old);
        STORE(VALUES, y + j,
              __builtin_convertvector((DV)x_bits - MAGIC, VALUES) *
                  LOAD(VALUES, unit + j * stride));
        beyond |= FROM_LEAST(x_bits, MAGIC_LIMIT);
    }
    if (!all_fit(beyond, MAGIC_LIMIT + 1)) NAME(shown_exactly)(m, x, y, unit, stride);
}
#undef VALUES

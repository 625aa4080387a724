/* One block of vectors, where velocities and increments are below 2^49: exact in doubles.
 *
 * scale and unit are read at multiples of `stride`, 0 or 1: the block's own, or LANES equal ones.
 * m is a multiple of WIDTH.
 */
#define VALUES NAME(values)
#define SIZES NAME(sizes)
typedef REAL VALUES VECTOR(REAL);
typedef INTEGER SIZES VECTOR(INTEGER);

/* What decides whether a block may go this way: all bits of its velocities, as sums with 2^V_BITS,
 * and the bits of the largest magnitude of f, which are ordered as magnitudes are, nan above all. */
typedef struct {
    IV seen;
    SIZES top;
} NAME(scan);

#define SCAN(scan, v, f)                                                                           \
    (scan).seen |= LOAD(IV, v) + ((I)1 << V_BITS);                                                 \
    (scan).top = NAME(top_of)((scan).top, LOAD(SIZES, f) & INTEGER_MAX);

static NAME(scan) NAME(scanned)(I m, const I *v, const REAL *f) {
    NAME(scan) scan = {{0}, {0}};
    for (I j = 0; j < m; j += LANES) { SCAN(scan, v + j, f + j) }
    return scan;
}

static int NAME(is_fast)(NAME(scan) scan, I m, const double *restrict scale, I stride) {
    U seen = 0;
    INTEGER top = 0;
    REAL largest_value;
    double steepest = fabs(scale[0]);
    for (int l = 0; l < LANES; l++) {
        seen |= (U)scan.seen[l];
        top = scan.top[l] > top ? scan.top[l] : top;
    }
    for (I j = 0; j < m * stride; j++) steepest = fmax(fabs(scale[j]), steepest);
    memcpy(&largest_value, &top, sizeof top);
    return !(seen >> (V_BITS + 1)) && largest_value <= MAX &&
           (double)largest_value * steepest <= LARGEST_FAST_INCREMENT;
}

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

__attribute__((always_inline)) static inline void
NAME(advance_vectors)(int kind, I m, I first, I *restrict x, I *restrict v, I *restrict b,
                      const REAL *restrict f, REAL *restrict y, Layer c,
                      const double *restrict scale, const REAL *restrict unit, I stride, I ahead,
                      NAME(scan) *restrict next, I *restrict out) {
    const double n = (double)c.n, d = (double)c.d;
    const double inverse_d = 1.0 / d, inverse_after = 1.0 / (double)c.after;
    const Ratios ratios = joint_ratios(c.before, c.after);
    Check check = {{0}, {0}};
    NAME(scan) scan = {{0}, {0}};
    IV beyond = {0};
    for (I j = 0; j < m; j += WIDTH) {
        IV v_bits[GROUP], x_bits[GROUP];
        DV v_j[GROUP], q[GROUP], r[GROUP], v_m[GROUP]; /* first w, then q n + w, then v' */
        EACH v_bits[u] = LOAD(IV, AT(v)) + MAGIC_BITS;
        EACH v_j[u] = (DV)v_bits[u] - MAGIC;
        EACH v_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH { CHECK(check, v_bits[u]) }
        EACH { SCAN(scan, AT(v) + ahead, AT(f) + ahead) }
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
        EACH beyond |= BEYOND(x_bits[u]);
    }
    *next = scan;
    out[0] = checksum(check, m, first);
    out[1] = all_convert(beyond) ? LEAST_PEAK : NAME(shown_exactly)(m, x, y, unit, stride);
}

__attribute__((always_inline)) static inline I
NAME(retreat_vectors)(int kind, I m, I first, I *restrict v, I *restrict b,
                      const REAL *restrict f, Layer c, const double *restrict scale, I stride,
                      I ahead, NAME(scan) *restrict next) {
    const double n = (double)c.n, d = (double)c.d;
    const double inverse_n = 1.0 / n, inverse_before = 1.0 / (double)c.before;
    const Ratios ratios = joint_ratios(c.after, c.before);
    NAME(scan) scan = {{0}, {0}};
    Check check = {{0}, {0}};
    for (I j = 0; j < m; j += WIDTH) {
        DV kept[GROUP], q[GROUP], s[GROUP], v_m[GROUP];
        EACH v_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH kept[u] = (DV)(LOAD(IV, AT(v)) + MAGIC_BITS) - v_m[u];
        EACH { SCAN(scan, AT(v) + ahead, AT(f) + ahead) }
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
    *next = scan;
    return checksum(check, m, first);
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
        beyond |= BEYOND(x_bits);
    }
    if (!all_convert(beyond)) NAME(shown_exactly)(m, x, y, unit, stride);
}
#undef VALUES
#undef SIZES
#undef SCAN

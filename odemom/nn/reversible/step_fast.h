/* One block of vectors, where velocities and increments are below 2^49: exact in doubles.
 *
 * scale and unit are read at multiples of `stride`, 0 or 1: the block's own, or LANES equal ones.
 * m is a multiple of LANES. A name in _m is biased by MAGIC: a double whose low bits are the
 * integer's. Sums and differences of one such with plain ones are exact.
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
    const double n = (double)c.n, d = (double)c.d, before = (double)c.before;
    const double after = (double)c.after, inverse_d = 1.0 / d, inverse_after = 1.0 / after;
    const Ratios ratios = joint_ratios(c.before, c.after);
    Check check = {{0}, {0}};
    NAME(scan) scan = {{0}, {0}};
    IV beyond = {0};
    for (I j = 0; j < m; j += WIDTH) {
        IV v_bits[TWO], b_j[TWO], x_bits[TWO];
        DV w_m[TWO], middle[TWO], q[TWO], r[TWO], s[TWO], v_m[TWO]; /* middle: gamma v */
        EACH v_bits[u] = LOAD(IV, AT(v)) + MAGIC_BITS;
        EACH middle[u] = (DV)v_bits[u] - MAGIC;
        EACH w_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH { CHECK(check, v_bits[u]) }
        EACH { SCAN(scan, AT(v) + ahead, AT(f) + ahead) }
        if (kind != FREE) {
            EACH b_j[u] = LOAD(IV, AT(b));
            EACH q[u] = quotient(middle[u], d, inverse_d);
            EACH r[u] = fused(q[u], all(-d), middle[u]);
            if (kind == SMALL) {
                EACH r[u] = fused(r[u], all(before), TO_REAL(b_j[u])); /* J */
                EACH s[u] = quotient(r[u], after, inverse_after);
                EACH b_j[u] = TO_INTEGER(fused(s[u], all(-after), r[u]));
            } else {
                EACH s[u] = resplit(r[u], c.before, &b_j[u], c.after, ratios);
            }
            EACH STORE(IV, AT(b), b_j[u]);
            EACH middle[u] = fused(q[u], all(n), s[u]);
        }
        EACH v_m[u] = middle[u] + w_m[u];
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
    const double n = (double)c.n, d = (double)c.d, before = (double)c.before;
    const double after = (double)c.after, inverse_n = 1.0 / n, inverse_before = 1.0 / before;
    const Ratios ratios = joint_ratios(c.after, c.before);
    NAME(scan) scan = {{0}, {0}};
    Check check = {{0}, {0}};
    for (I j = 0; j < m; j += WIDTH) {
        IV v_bits[TWO], b_j[TWO];
        DV w_m[TWO], middle[TWO], q[TWO], r[TWO], s[TWO];
        EACH w_m[u] = NAME(widened)(AT(f)) * LOAD(DV, scale + (j + u * LANES) * stride) + MAGIC;
        EACH middle[u] = (DV)(LOAD(IV, AT(v)) + MAGIC_BITS) - w_m[u];
        EACH { SCAN(scan, AT(v) + ahead, AT(f) + ahead) }
        if (kind != FREE) {
            EACH b_j[u] = LOAD(IV, AT(b));
            EACH q[u] = quotient(middle[u], n, inverse_n);
            EACH s[u] = fused(q[u], all(-n), middle[u]);
            if (kind == SMALL) {
                EACH s[u] = fused(s[u], all(after), TO_REAL(b_j[u])); /* J */
                EACH r[u] = quotient(s[u], before, inverse_before);
                EACH b_j[u] = TO_INTEGER(fused(r[u], all(-before), s[u]));
            } else {
                EACH r[u] = resplit(s[u], c.after, &b_j[u], c.before, ratios);
            }
            EACH STORE(IV, AT(b), b_j[u]);
            EACH middle[u] = fused(q[u], all(d), r[u]);
        }
        EACH v_bits[u] = (IV)(middle[u] + MAGIC);
        EACH STORE(IV, AT(v), v_bits[u] - MAGIC_BITS);
        EACH { CHECK(check, v_bits[u]) }
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

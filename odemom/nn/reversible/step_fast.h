/* One block of vectors, where `within` holds for x, v and the increments: exact in doubles.
 *
 * scale and unit are read at multiples of `stride`, 0 or 1: the block's own, or LANES equal ones.
 * m is a multiple of LANES.
 */
#define VALUES NAME(values)
typedef REAL VALUES VECTOR(REAL);

/* The increments (1 - gamma) f in units, into w; whether all are small enough. */
static inline int NAME(increments)(I m, const REAL *restrict f, const double *restrict scale,
                                   I stride, double *restrict w) {
    IV fit = (IV){0} - 1;
    for (I j = 0; j < m; j += LANES) {
        DV f_j = __builtin_convertvector(LOAD(VALUES, f + j), DV);
        DV w_j = ROUNDED(f_j * LOAD(DV, scale + j * stride));
        fit &= (IV)(abs_of(w_j) <= LARGEST_FAST_INCREMENT);
        STORE(DV, w + j, w_j);
    }
    I all = -1;
    for (int l = 0; l < LANES; l++) all &= fit[l];
    return all != 0;
}

__attribute__((always_inline)) static inline void
NAME(advance_vectors)(int kind, I m, I first, I *restrict x, I *restrict v, I *restrict b,
                      const double *restrict w, REAL *restrict y, Layer c,
                      const REAL *restrict unit, I stride, I *restrict out) {
    const double n = (double)c.n, d = (double)c.d, before = (double)c.before;
    const double after = (double)c.after, inverse_d = 1.0 / d, inverse_after = 1.0 / after;
    const Ratios ratios = joint_ratios(c.before, c.after);
    Check check = {{0}, {0}};
    DV peak = {0};
    for (I j = 0; j < m; j += LANES) {
        IV v_j = LOAD(IV, v + j);
        CHECK(check, v_j)
        DV w_j = LOAD(DV, w + j), v_real = TO_REAL(v_j);
        if (kind != FREE) {
            IV b_j = LOAD(IV, b + j);
            DV q = QUOTIENT(v_real, d, inverse_d), r = v_real - q * d, s;
            if (kind == SMALL) {
                DV joint = r * before + TO_REAL(b_j);
                s = QUOTIENT(joint, after, inverse_after);
                b_j = TO_INTEGER(joint - s * after);
            } else {
                s = resplit(r, c.before, &b_j, c.after, ratios);
            }
            STORE(IV, b + j, b_j);
            v_real = q * n + s;
        }
        v_real += w_j;
        IV v_new = TO_INTEGER(v_real), x_new = LOAD(IV, x + j) + v_new;
        DV x_real = TO_REAL(x_new);
        STORE(IV, v + j, v_new);
        STORE(IV, x + j, x_new);
        STORE(VALUES, y + j,
              __builtin_convertvector(x_real, VALUES) * LOAD(VALUES, unit + j * stride));
        peak = max_of(peak, max_of(abs_of(w_j), max_of(abs_of(v_real), abs_of(x_real))));
    }
    out[0] = checksum(check, m, first);
    out[1] = largest(peak);
}

__attribute__((always_inline)) static inline I
NAME(retreat_vectors)(int kind, I m, I first, I *restrict v, I *restrict b,
                      const double *restrict w, Layer c) {
    const double n = (double)c.n, d = (double)c.d, before = (double)c.before;
    const double after = (double)c.after, inverse_n = 1.0 / n, inverse_before = 1.0 / before;
    const Ratios ratios = joint_ratios(c.after, c.before);
    Check check = {{0}, {0}};
    for (I j = 0; j < m; j += LANES) {
        DV v_real = TO_REAL(LOAD(IV, v + j)) - LOAD(DV, w + j);
        if (kind != FREE) {
            IV b_j = LOAD(IV, b + j);
            DV q = QUOTIENT(v_real, n, inverse_n), s = v_real - q * n, r;
            if (kind == SMALL) {
                DV joint = s * after + TO_REAL(b_j);
                r = QUOTIENT(joint, before, inverse_before);
                b_j = TO_INTEGER(joint - r * before);
            } else {
                r = resplit(s, c.after, &b_j, c.before, ratios);
            }
            STORE(IV, b + j, b_j);
            v_real = q * d + r;
        }
        IV v_old = TO_INTEGER(v_real);
        STORE(IV, v + j, v_old);
        CHECK(check, v_old)
    }
    return checksum(check, m, first);
}

static void NAME(expose_vectors)(I m, I *restrict x, const I *restrict v, REAL *restrict y,
                                 const REAL *restrict unit, I stride) {
    for (I j = 0; j < m; j += LANES) {
        IV x_old = LOAD(IV, x + j) - LOAD(IV, v + j);
        STORE(IV, x + j, x_old);
        STORE(VALUES, y + j,
              __builtin_convertvector(TO_REAL(x_old), VALUES) * LOAD(VALUES, unit + j * stride));
    }
}
#undef VALUES

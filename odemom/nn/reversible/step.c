/* The integer work of one momentum layer, in one pass over memory.
 *
 * Compiled at first use by native.py; eager.py says the same in PyTorch operations, and the two
 * agree bit for bit: integer arithmetic is exact, and the few floating-point operations (widening,
 * one product, one rounding half to even, one conversion) are correctly rounded on their own.
 * Compile with -ffp-contract=off and -fwrapv.
 *
 * Tensors of up to 32768 elements are not worth waking a second thread for.
 *
 * Notation: buffer.py. Quotients go through double precision, which vectorises where 64-bit
 * division does not, and are then corrected to the exact integers:
 *   - FLOOR_DIV: |a| < 2^63, m <= 2^24. The first quotient errs by at most 2^63 3 2^-53 / m + 1, so
 *     the remainder is below 2^26, its quotient exact but for one unit, which the signs settle.
 *   - SMALL_DIV: a >= 0 with a quotient below 2^24: errs by at most one unit.
 */
#include <math.h>
#include <stdint.h>

#define BLOCK 4096
#define LARGEST_INCREMENT 2305843009213693952.0 /* 2^61 */
#define LOST 9.0e18

typedef int64_t I;

#define SETTLE(q, r, a, m)                                                                         \
    r = (a) - q * (m);                                                                             \
    q += r >> 63;                                                                                  \
    q += (r >= (m)) ? 1 : 0;                                                                       \
    r = (a) - q * (m);

#define FLOOR_DIV(q, r, a, m, inverse)                                                             \
    I q = (I)((double)(a) * (inverse)), r = (a) - q * (m);                                         \
    q += (I)((double)r * (inverse));                                                               \
    SETTLE(q, r, a, m)

#define SMALL_DIV(q, r, a, m, inverse)                                                             \
    I q = (I)((double)(a) * (inverse)), r;                                                         \
    SETTLE(q, r, a, m)

/* w: the increment (1 - gamma) f in units, and LOST where it is not finite or has no place. */
#define INCREMENT(w, value, scale)                                                                 \
    double w##_real = rint((double)(value) * (scale));                                             \
    double w##_held = fabs(w##_real) <= LARGEST_INCREMENT ? w##_real : LOST;                       \
    I w = (I)w##_held;

static inline I larger(I a, I b) { return a > b ? a : b; }
static inline I magnitude(I a) { return a < 0 ? -a : a; }

/* out = {checksum of the velocity before the layer, largest magnitude after it} */
#define STEP(T, NAME)                                                                              \
    static void NAME##_advance_block(I size, I first, I *restrict x, I *restrict v,                \
                                     I *restrict b, const T *restrict f, T *restrict y, I n, I d,  \
                                     I before, I after, double scale, T unit, I *restrict out) {   \
        const double inverse_d = 1.0 / (double)d, inverse_after = 1.0 / (double)after;             \
        I sum = 0, peak = 0;                                                                       \
        for (I j = 0; j < size; j++) {                                                             \
            I vj = v[j];                                                                           \
            sum += vj * (2 * (first + j) + 1);                                                     \
            FLOOR_DIV(q, r, vj, d, inverse_d)                                                      \
            I joint = r * before + b[j];                                                           \
            SMALL_DIV(s, rest, joint, after, inverse_after)                                        \
            b[j] = rest;                                                                           \
            INCREMENT(w, f[j], scale)                                                              \
            I v_new = q * n + s + w, x_new = x[j] + v_new;                                         \
            v[j] = v_new;                                                                          \
            x[j] = x_new;                                                                          \
            y[j] = (T)x_new * unit;                                                                \
            peak = larger(peak, larger(magnitude(w), larger(magnitude(v_new), magnitude(x_new)))); \
        }                                                                                          \
        out[0] = sum;                                                                              \
        out[1] = peak;                                                                             \
    }                                                                                              \
    static void NAME##_advance_free(I size, I first, I *restrict x, I *restrict v,                 \
                                    const T *restrict f, T *restrict y, double scale, T unit,      \
                                    I *restrict out) {                                             \
        I sum = 0, peak = 0;                                                                       \
        for (I j = 0; j < size; j++) {                                                             \
            I vj = v[j];                                                                           \
            sum += vj * (2 * (first + j) + 1);                                                     \
            INCREMENT(w, f[j], scale)                                                              \
            I v_new = vj + w, x_new = x[j] + v_new;                                                \
            v[j] = v_new;                                                                          \
            x[j] = x_new;                                                                          \
            y[j] = (T)x_new * unit;                                                                \
            peak = larger(peak, larger(magnitude(w), larger(magnitude(v_new), magnitude(x_new)))); \
        }                                                                                          \
        out[0] = sum;                                                                              \
        out[1] = peak;                                                                             \
    }                                                                                              \
    void NAME##_advance(I size, I *x, I *v, I *b, const T *f, T *y, I n, I d, I before, I after,   \
                        double scale, double unit, I *out) {                                       \
        I sum = 0, peak = 0;                                                                       \
        _Pragma("omp parallel for if (size > 32768) reduction(+ : sum) reduction(max : peak)")     \
        for (I k = 0; k < size; k += BLOCK) {                                                      \
            I here[2], m = size - k < BLOCK ? size - k : BLOCK;                                    \
            if (n == d)                                                                            \
                NAME##_advance_free(m, k, x + k, v + k, f + k, y + k, scale, (T)unit, here);       \
            else                                                                                   \
                NAME##_advance_block(m, k, x + k, v + k, b + k, f + k, y + k, n, d, before, after, \
                                     scale, (T)unit, here);                                        \
            sum += here[0];                                                                        \
            peak = larger(peak, here[1]);                                                          \
        }                                                                                          \
        out[0] = sum;                                                                              \
        out[1] = peak;                                                                             \
    }                                                                                              \
    static void NAME##_expose_block(I size, I *restrict x, const I *restrict v, T *restrict y,     \
                                    T unit) {                                                      \
        for (I j = 0; j < size; j++) {                                                             \
            I x_old = x[j] - v[j];                                                                 \
            x[j] = x_old;                                                                          \
            y[j] = (T)x_old * unit;                                                                \
        }                                                                                          \
    }                                                                                              \
    void NAME##_expose(I size, I *x, const I *v, T *y, double unit) {                              \
        _Pragma("omp parallel for if (size > 32768)")                                              \
        for (I k = 0; k < size; k += BLOCK)                                                        \
            NAME##_expose_block(size - k < BLOCK ? size - k : BLOCK, x + k, v + k, y + k, (T)unit);\
    }                                                                                              \
    static I NAME##_retreat_block(I size, I first, I *restrict v, I *restrict b,                   \
                                  const T *restrict f, I n, I d, I before, I after,                \
                                  double scale) {                                                  \
        const double inverse_n = 1.0 / (double)n, inverse_before = 1.0 / (double)before;           \
        I sum = 0;                                                                                 \
        for (I j = 0; j < size; j++) {                                                             \
            INCREMENT(w, f[j], scale)                                                              \
            I kept = v[j] - w;                                                                     \
            FLOOR_DIV(q, s, kept, n, inverse_n)                                                    \
            I joint = s * after + b[j];                                                            \
            SMALL_DIV(r, rest, joint, before, inverse_before)                                      \
            b[j] = rest;                                                                           \
            I v_old = q * d + r;                                                                   \
            v[j] = v_old;                                                                          \
            sum += v_old * (2 * (first + j) + 1);                                                  \
        }                                                                                          \
        return sum;                                                                                \
    }                                                                                              \
    static I NAME##_retreat_free(I size, I first, I *restrict v, const T *restrict f,              \
                                 double scale) {                                                   \
        I sum = 0;                                                                                 \
        for (I j = 0; j < size; j++) {                                                             \
            INCREMENT(w, f[j], scale)                                                              \
            I v_old = v[j] - w;                                                                    \
            v[j] = v_old;                                                                          \
            sum += v_old * (2 * (first + j) + 1);                                                  \
        }                                                                                          \
        return sum;                                                                                \
    }                                                                                              \
    void NAME##_retreat(I size, I *v, I *b, const T *f, I n, I d, I before, I after, double scale, \
                        I *out) {                                                                  \
        I sum = 0;                                                                                 \
        _Pragma("omp parallel for if (size > 32768) reduction(+ : sum)")                           \
        for (I k = 0; k < size; k += BLOCK) {                                                      \
            I m = size - k < BLOCK ? size - k : BLOCK;                                             \
            sum += n == d ? NAME##_retreat_free(m, k, v + k, f + k, scale)                         \
                          : NAME##_retreat_block(m, k, v + k, b + k, f + k, n, d, before, after,   \
                                                 scale);                                           \
        }                                                                                          \
        out[0] = sum;                                                                              \
    }

STEP(float, f32)
STEP(double, f64)

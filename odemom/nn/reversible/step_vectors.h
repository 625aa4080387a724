/* Vectors of LANES entries, in the notation that gcc and clang share, and exact conversions.
 *
 * An integer |a| < 2^51 and the double 2^52 + 2^51 + a have the same low bits, so that one addition
 * on each side converts, either way. The same sum rounds a double below 2^51 to an integer, half to
 * even, as rint does.
 */
#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 8
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 4
#else
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#define LANES 2
#endif

/* In memory they need not be aligned. */
#define VECTOR(type) __attribute__((vector_size(LANES * sizeof(type)), aligned(sizeof(type)), may_alias))
typedef I IV VECTOR(I);
typedef double DV VECTOR(double);
typedef float FV VECTOR(float);

#define LOAD(type, pointer) (*(const type *)(pointer))
#define STORE(type, pointer, value) (*(type *)(pointer) = (value))

#define MAGIC 6755399441055744.0 /* 2^52 + 2^51 */
#define MAGIC_BITS 0x4338000000000000

#define TO_REAL(a) ((DV)((a) + MAGIC_BITS) - MAGIC)
#define TO_INTEGER(z) ((IV)((z) + MAGIC) - MAGIC_BITS)
#define ROUNDED(z) (((z) + MAGIC) - MAGIC)

/* The bits of |v|, |w| and |x| with which step_fast.h is exact. */
#define V_BITS 49
#define X_BITS 50
#define LARGEST_FAST_INCREMENT 562949953421312.0 /* 2^49 */

/* The exact floor(a/m), for an integer |a| < 2^51 as a double, and inverse = 1/m rounded:
 * (a + 1/2)/m - 1/2 is at least 1/(2m) away from where rounding to integers changes, and computed
 * with an error below 2^51 2^-52 / m. */
#define QUOTIENT(a, m, inverse) ROUNDED(((a) + (0.5 - 0.5 * (m))) * (inverse))

static inline DV abs_of(DV a) { return (DV)((IV)a & INT64_MAX); }

static inline DV max_of(DV a, DV b) {
#if defined(__AVX512F__)
    return (DV)_mm512_max_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    return (DV)_mm256_max_pd((__m256d)a, (__m256d)b);
#elif defined(__SSE2__)
    return (DV)_mm_max_pd((__m128d)a, (__m128d)b);
#elif defined(__aarch64__)
    return (DV)vmaxq_f64((float64x2_t)a, (float64x2_t)b);
#else
    IV first = (IV)(a > b);
    return (DV)((first & (IV)a) | (~first & (IV)b));
#endif
}

/* The product of the low 32 bits of each, unsigned. */
static inline IV low_product(IV a, IV b) {
#if defined(__AVX512F__)
    return (IV)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (IV)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (IV)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
    return (IV)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
    return (a & UINT32_MAX) * (b & UINT32_MAX);
#endif
}

/* a m for a in [0, 2^32): the low 32 bits of a vector's entries, the rest of them ignored. */
static inline IV product(IV a, I m) {
    const IV zero = {0};
    return low_product(a, zero + m) + (low_product(a, zero + (m >> 32)) << 32);
}

/* Whether all of the m (a multiple of LANES) integers are in [-2^bits, 2^bits). */
static inline int within(I m, const I *a, int bits) {
    IV seen = {0};
    for (I j = 0; j < m; j += LANES) seen |= LOAD(IV, a + j) + ((I)1 << bits);
    U any = 0;
    for (int l = 0; l < LANES; l++) any |= (U)seen[l];
    return !(any >> (bits + 1));
}

/* The sum of v_j (2j + 1) over vectors v, with two additions for each: every lane keeps its sum,
 * and the sum of its sums so far. */
typedef struct {
    IV sum, sums;
} Check;

#define CHECK(check, v)                                                                            \
    (check).sum += (v);                                                                            \
    (check).sums += (check).sum;

/* For m entries, the first of which is entry number `first` of all. */
static inline I checksum(Check check, I m, I first) {
    I total = 0, count = m / LANES;
    for (I l = 0; l < LANES; l++) {
        I later = count * check.sum[l] - check.sums[l]; /* the sum of v_j times its vector's number */
        total += (2 * (first + l) + 1) * check.sum[l] + 2 * LANES * later;
    }
    return total;
}

static inline I largest(DV a) {
    I top = 0;
    for (int l = 0; l < LANES; l++) top = larger(top, (I)a[l]);
    return top;
}

/* How a block multiplies by gamma. */
enum {
    FREE,  /* gamma = 1 */
    SMALL, /* J = r M + b is below 2^50, an exact double */
    LARGE, /* J has up to 62 bits, and the radices M and M' differ by a factor below 2^16 */
    EXACT  /* anything else: step_exact.h */
};

static inline int kind_of(I n, I d, I before, I after) {
    if (n == d) return FREE;
    if (d * before < (I)1 << 50 && n * after < (I)1 << 50) return SMALL;
    return d >> 16 <= n ? LARGE : EXACT;
}

/* a m + b of 64 bits split anew by the radix `by`: the quotient, as a double below 2^24, and the
 * rest, into b. The factors 1 + 2^-28 of joint_ratios make the estimate of the quotient too large
 * rather than too small, by 2^-4 at most: the sign of the rest settles it. (What the shift cuts off
 * b is below m 2^-49, less than what the factor adds to a m, or to a b of at least `by`.) */
typedef struct {
    double of_a, of_b;
    int shift;
} Ratios;

static inline Ratios joint_ratios(I m, I by) {
    Ratios c;
    c.shift = 0;
    while (m >> c.shift >= (I)1 << 50) c.shift++;
    c.of_a = (double)m / (double)by * (1.0 + 0x1p-28);
    c.of_b = (double)((I)1 << c.shift) / (double)by * (1.0 + 0x1p-28);
    return c;
}

static inline DV resplit(DV a, I m, IV *b, I by, Ratios c) {
    IV joint = product((IV)(a + MAGIC), m) + *b;
    DV estimate = a * c.of_a + TO_REAL(*b >> c.shift) * c.of_b;
    DV quotient = ROUNDED(estimate - 0.5);
    IV rest = joint - product((IV)(quotient + MAGIC), by);
    IV over = (IV)(rest < 0);
    *b = rest + (over & by);
    return quotient - (DV)(over & (IV)((DV){0} + 1.0));
}

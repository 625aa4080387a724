/* Vectors of LANES entries, in the notation that gcc and clang share, and exact conversions.
 *
 * An integer |a| < 2^51 and the double 2^52 + 2^51 + a have the same low bits, so that one addition
 * on each side converts, either way. The same sum rounds a double below 2^51 to an integer, half to
 * even, as rint does. A double z + MAGIC, or the integer of its bits, is called biased: sums with
 * plain numbers stay exact and biased, and names in _m or _bits say so.
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
#define VECTOR(type)                                                                               \
    __attribute__((vector_size(LANES * sizeof(type)), aligned(sizeof(type)), may_alias))
typedef I IV VECTOR(I);
typedef U UV VECTOR(U);
typedef double DV VECTOR(double);
typedef float FV VECTOR(float);

/* So many vectors at once, statement by statement, hide each other's latency: a layer is one chain
 * of some fifteen operations for each entry. */
#define GROUP 4
#define WIDTH (GROUP * LANES)
#define EACH for (int u = 0; u < GROUP; u++)
#define AT(pointer) ((pointer) + j + u * LANES)

#define LOAD(type, pointer) (*(const type *)(pointer))
#define STORE(type, pointer, value) (*(type *)(pointer) = (value))

#define MAGIC 6755399441055744.0 /* 2^52 + 2^51 */
#define MAGIC_BITS 0x4338000000000000

#define TO_REAL(a) ((DV)((a) + MAGIC_BITS) - MAGIC)
#define TO_INTEGER(z) ((IV)((z) + MAGIC) - MAGIC_BITS)

/* Both converted where they lie in [-2^MAGIC_LIMIT, 2^MAGIC_LIMIT); v and w of step_fast.h lie in
 * [-2^SMALL_BITS, 2^SMALL_BITS), so that there is room for their sum. */
#define MAGIC_LIMIT 51
#define SMALL_BITS 49

/* The same for v and w on the way back, where (v - w) d / n has to be converted as well. */
static inline int small_bits_back(I n, I d) {
    int bits = SMALL_BITS;
    while (bits > 0 && d > n << (MAGIC_LIMIT - 1 - bits)) bits--;
    return bits;
}

/* The distance of an integer biased by MAGIC from the least one of [-2^bits, 2^bits), with bits of
 * at most MAGIC_LIMIT: below 2^(bits + 1) for these only, whatever else the bits stand for. */
#define FROM_LEAST(biased, bits) ((biased) - (MAGIC_BITS - ((I)1 << (bits))))

/* Whether all are in [0, 2^bits), as one may ask of a union of such distances. */
static inline int all_fit(IV seen, int bits) {
    const IV zero = {0}, rest = zero + (I)(~(U)0 << bits);
#if defined(__AVX512F__)
    return !_mm512_test_epi64_mask((__m512i)seen, (__m512i)rest);
#elif defined(__AVX2__)
    return _mm256_testz_si256((__m256i)seen, (__m256i)rest);
#else
    I any = 0;
    for (int l = 0; l < LANES; l++) any |= (seen & rest)[l];
    return !any;
#endif
}

/* a b + c, rounded once or twice: for uses in which both are right. */
static inline DV fused(DV a, DV b, DV c) {
#if defined(__AVX512F__)
    return (DV)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (DV)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (DV)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

static inline DV all(double a) { return (DV){0} + a; }

/* The exact floor(a/m), for an integer |a| < 2^51 as a double, from a + SHIFT(m) and inverse = 1/m
 * rounded: (a + 1/2)/m - 1/2 is at least 1/(2m) away from where rounding to integers changes, and
 * computed with an error below 2^51 2^-52 / m. */
#define SHIFT(m) (0.5 - 0.5 * (m))

static inline DV quotient(DV shifted, double inverse) {
    return fused(shifted, all(inverse), all(MAGIC)) - MAGIC;
}

/* As doubles. (gcc 12 takes __builtin_convertvector through memory here.) */
static inline DV f32_widened(const float *a) {
#if defined(__AVX512F__)
    return (DV)_mm512_cvtps_pd(_mm256_loadu_ps(a));
#elif defined(__AVX2__)
    return (DV)_mm256_cvtps_pd(_mm_loadu_ps(a));
#else
    return __builtin_convertvector(LOAD(FV, a), DV);
#endif
}

static inline DV f64_widened(const double *a) { return LOAD(DV, a); }

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

/* The sum of v_j (2j + 1) over vectors of v_j + MAGIC_BITS, with two additions for each: every lane
 * keeps its sum, and the sum of its sums so far. */
typedef struct {
    IV sum, sums;
} Check;

#define CHECK(check, v_bits)                                                                       \
    (check).sum += (v_bits);                                                                       \
    (check).sums += (check).sum;

/* For m entries, the first of which is entry number `first` of all. */
static inline I checksum(Check check, I m, I first) {
    I total = 0, count = m / LANES;
    for (I l = 0; l < LANES; l++) {
        I sum = check.sum[l] - count * MAGIC_BITS;
        I sums = check.sums[l] - count * (count + 1) / 2 * MAGIC_BITS;
        /* count sum - sums is the sum of v_j times the number of its vector */
        total += (2 * (first + l) + 1) * sum + 2 * LANES * (count * sum - sums);
    }
    return total;
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
    DV estimate = a * c.of_a + TO_REAL((IV)((UV)*b >> c.shift)) * c.of_b;
    DV raised = (estimate - 0.5) + MAGIC;
    IV rest = joint - product((IV)raised, by);
    IV over = (IV)(rest < 0);
    *b = rest + (over & by);
    return raised - MAGIC - (DV)(over & (IV)all(1.0));
}

/* r M + b = r' M' + b': r' in place of r and b' of b, for GROUP vectors. */
__attribute__((always_inline)) static inline void exchange(int kind, DV *r, I *b, I M, I M_new,
                                                           double inverse, Ratios ratios) {
    const I j = 0;
    IV b_j[GROUP];
    DV b_real[GROUP], joint[GROUP];
    EACH b_j[u] = LOAD(IV, AT(b));
    if (kind == SMALL) {
        EACH b_real[u] = TO_REAL(b_j[u]);
        EACH joint[u] = fused(r[u], all((double)M), b_real[u]);
        EACH r[u] = fused(r[u], all((double)M), b_real[u] + SHIFT((double)M_new)); /* J + SHIFT */
        EACH r[u] = quotient(r[u], inverse);
        EACH b_j[u] = TO_INTEGER(fused(r[u], all(-(double)M_new), joint[u]));
    } else {
        EACH r[u] = resplit(r[u], M, &b_j[u], M_new, ratios);
    }
    EACH STORE(IV, AT(b), b_j[u]);
}

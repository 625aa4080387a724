/* What native.py calls: a whole tensor, block by block.
 *
 * The tensor has size / row samples of `row` entries, each with a scale and a unit; words is 1 or
 * 2. The ways through a block take what they need of the samples' scales and units as an array.
 */
typedef struct {
    I size, row, words;
    const double *scale, *unit;
} NAME(samples);

/* Those of the m entries from number `first`: one for each, where they differ or `all` are asked
 * for, else the first LANES. Returns whether they differ: the stride with which to read them. */
static I NAME(spread)(NAME(samples) of, I first, I m, int all, double *scale, REAL *unit) {
    I sample = first / of.row, end = (sample + 1) * of.row;
    I stride = end < first + m, count = stride || all ? m : LANES;
    for (I j = 0; j < count; j++) {
        if (stride && first + j == end) sample++, end += of.row;
        if (scale) scale[j] = of.scale[sample];
        if (unit) unit[j] = (REAL)of.unit[sample];
    }
    return stride;
}

/* A block of m entries, in vectors as far as they go. */
static void NAME(advance_some)(I m, I first, NAME(samples) of, int kind, I *x, I *v, I *b,
                               const REAL *f, REAL *y, Layer c, I *out) {
    double scale[BLOCK];
    REAL unit[BLOCK];
    I done = 0, rest[2];
    out[0] = 0;
    out[1] = LEAST_PEAK;
    if (of.words == 1 && kind != EXACT && m >= WIDTH) {
        I stride = NAME(spread)(of, first, m, 0, scale, unit), whole = m - m % WIDTH;
#define VECTORS(kind)                                                                              \
    NAME(advance_vectors)(kind, whole, first, x, v, b, f, y, c, scale, unit, stride, out)
        done = kind == FREE ? VECTORS(FREE) : kind == SMALL ? VECTORS(SMALL) : VECTORS(LARGE);
#undef VECTORS
        if (done == m) return;
    }
    x += done, v += done, f += done, y += done, first += done, m -= done;
    if (b) b += done;
    NAME(spread)(of, first, m, 1, scale, unit);
    if (of.words == 2)
        NAME(advance_two_words)(m, first, of.size, x, v, b, f, y, c, scale, unit, rest);
    else if (kind == FREE)
        NAME(advance_exact_free)(m, first, x, v, f, y, scale, unit, rest);
    else
        NAME(advance_exact)(m, first, x, v, b, f, y, c, scale, unit, rest);
    out[0] += rest[0];
    out[1] = larger(out[1], rest[1]);
}

static I NAME(retreat_some)(I m, I first, NAME(samples) of, int kind, I *v, I *b, const REAL *f,
                            Layer c) {
    double scale[BLOCK];
    I done = 0, sum = 0;
    if (of.words == 1 && kind != EXACT && m >= WIDTH) {
        I stride = NAME(spread)(of, first, m, 0, scale, 0), whole = m - m % WIDTH;
#define VECTORS(kind) NAME(retreat_vectors)(kind, whole, first, v, b, f, c, scale, stride, &sum)
        done = kind == FREE ? VECTORS(FREE) : kind == SMALL ? VECTORS(SMALL) : VECTORS(LARGE);
#undef VECTORS
        if (done == m) return sum;
    }
    v += done, f += done, first += done, m -= done;
    if (b) b += done;
    NAME(spread)(of, first, m, 1, scale, 0);
    if (of.words == 2) return NAME(retreat_two_words)(m, first, of.size, v, b, f, c, scale);
    if (kind == FREE) return sum + NAME(retreat_exact_free)(m, first, v, f, scale);
    return sum + NAME(retreat_exact)(m, first, v, b, f, c, scale);
}

static void NAME(expose_some)(I m, I k, NAME(samples) of, I *x, const I *v, REAL *y) {
    REAL unit[BLOCK];
    int fast = of.words == 1 && m % LANES == 0;
    I stride = NAME(spread)(of, k, m, !fast, 0, unit);
    if (fast)
        NAME(expose_vectors)(m, x, v, y, unit, stride);
    else if (of.words == 2)
        NAME(expose_two_words)(m, of.size, x, v, y, unit);
    else
        NAME(expose_exact)(m, x, v, y, unit);
}

/* The m increments from number `first`: f, or f - less where a block's value holds its input. */
static inline const REAL *NAME(increments)(I m, I first, const REAL *f, const REAL *less,
                                           REAL *made) {
    if (!less) return f + first;
    for (I j = 0; j < m; j++) made[j] = f[first + j] - less[first + j];
    return made;
}

void NAME(advance)(I size, I row, I words, I *x, I *v, void *b, I bytes, const REAL *f,
                   const REAL *less, REAL *y, I n, I d, I before, I after, const double *scale,
                   const double *unit, I *out) {
    const NAME(samples) of = {size, row, words, scale, unit};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0, peak = LEAST_PEAK;
    _Pragma("omp parallel for if (size > RUN) reduction(+ : sum) reduction(max : peak)")
    for (I k = 0; k < size; k += BLOCK) {
        REAL made[BLOCK];
        I wide[BLOCK], here[2], m = least(BLOCK, size - k), *w = widened(m, k, b, bytes, wide);
        const REAL *g = NAME(increments)(m, k, f, less, made);
        NAME(advance_some)(m, k, of, kind, x + k, v + k, w, g, y + k, c, here);
        narrowed(m, k, b, bytes, w);
        sum += here[0];
        peak = larger(peak, here[1]);
    }
    out[0] = sum;
    out[1] = peak;
}

void NAME(expose)(I size, I row, I words, I *x, const I *v, REAL *y, const double *unit) {
    const NAME(samples) of = {size, row, words, 0, unit};
    _Pragma("omp parallel for if (size > RUN)")
    for (I k = 0; k < size; k += BLOCK)
        NAME(expose_some)(least(BLOCK, size - k), k, of, x + k, v + k, y + k);
}

void NAME(retreat)(I size, I row, I words, I *v, void *b, I bytes, const REAL *f, const REAL *less,
                   I n, I d, I before, I after, const double *scale, I *out) {
    const NAME(samples) of = {size, row, words, scale, 0};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0;
    _Pragma("omp parallel for if (size > RUN) reduction(+ : sum)")
    for (I k = 0; k < size; k += BLOCK) {
        REAL made[BLOCK];
        I wide[BLOCK], m = least(BLOCK, size - k), *w = widened(m, k, b, bytes, wide);
        const REAL *g = NAME(increments)(m, k, f, less, made);
        sum += NAME(retreat_some)(m, k, of, kind, v + k, w, g, c);
        narrowed(m, k, b, bytes, w);
    }
    out[0] = sum;
}

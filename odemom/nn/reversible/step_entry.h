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

static void NAME(advance_some)(int kind, I m, I first, NAME(samples) of, I *x, I *v, I *b,
                               const REAL *f, REAL *y, Layer c, I *out) {
    double scale[BLOCK], w[BLOCK];
    REAL unit[BLOCK];
    if (of.words == 1 && kind != EXACT && m % LANES == 0 && within(m, v, V_BITS) &&
        within(m, x, X_BITS)) {
        I stride = NAME(spread)(of, first, m, 0, scale, unit);
        if (NAME(increments)(m, f, scale, stride, w)) {
            if (kind == FREE)
                NAME(advance_vectors)(FREE, m, first, x, v, b, w, y, c, unit, stride, out);
            else if (kind == SMALL)
                NAME(advance_vectors)(SMALL, m, first, x, v, b, w, y, c, unit, stride, out);
            else
                NAME(advance_vectors)(LARGE, m, first, x, v, b, w, y, c, unit, stride, out);
            return;
        }
    }
    NAME(spread)(of, first, m, 1, scale, unit);
    if (of.words == 2)
        NAME(advance_two_words)(m, first, of.size, x, v, b, f, y, c, scale, unit, out);
    else if (kind == FREE)
        NAME(advance_exact_free)(m, first, x, v, f, y, scale, unit, out);
    else
        NAME(advance_exact)(m, first, x, v, b, f, y, c, scale, unit, out);
}

static I NAME(retreat_some)(int kind, I m, I first, NAME(samples) of, I *v, I *b, const REAL *f,
                            Layer c) {
    double scale[BLOCK], w[BLOCK];
    if (of.words == 1 && kind != EXACT && m % LANES == 0 && within(m, v, V_BITS)) {
        I stride = NAME(spread)(of, first, m, 0, scale, 0);
        if (NAME(increments)(m, f, scale, stride, w)) {
            if (kind == FREE) return NAME(retreat_vectors)(FREE, m, first, v, b, w, c);
            if (kind == SMALL) return NAME(retreat_vectors)(SMALL, m, first, v, b, w, c);
            return NAME(retreat_vectors)(LARGE, m, first, v, b, w, c);
        }
    }
    NAME(spread)(of, first, m, 1, scale, 0);
    if (of.words == 2) return NAME(retreat_two_words)(m, first, of.size, v, b, f, c, scale);
    if (kind == FREE) return NAME(retreat_exact_free)(m, first, v, f, scale);
    return NAME(retreat_exact)(m, first, v, b, f, c, scale);
}

static void NAME(expose_some)(I m, I first, NAME(samples) of, I *x, const I *v, REAL *y) {
    REAL unit[BLOCK];
    int fast = of.words == 1 && m % LANES == 0 && within(m, v, X_BITS) && within(m, x, X_BITS);
    I stride = NAME(spread)(of, first, m, !fast, 0, unit);
    if (fast)
        NAME(expose_vectors)(m, x, v, y, unit, stride);
    else if (of.words == 2)
        NAME(expose_two_words)(m, of.size, x, v, y, unit);
    else
        NAME(expose_exact)(m, x, v, y, unit);
}

void NAME(advance)(I size, I row, I words, I *x, I *v, I *b, const REAL *f, REAL *y, I n, I d,
                   I before, I after, const double *scale, const double *unit, I *out) {
    const NAME(samples) of = {size, row, words, scale, unit};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0, peak = 0;
    _Pragma("omp parallel for if (size > 32768) reduction(+ : sum) reduction(max : peak)")
    for (I k = 0; k < size; k += BLOCK) {
        I here[2], m = size - k < BLOCK ? size - k : BLOCK;
        NAME(advance_some)(kind, m, k, of, x + k, v + k, b ? b + k : b, f + k, y + k, c, here);
        sum += here[0];
        peak = larger(peak, here[1]);
    }
    out[0] = sum;
    out[1] = peak;
}

void NAME(expose)(I size, I row, I words, I *x, const I *v, REAL *y, const double *unit) {
    const NAME(samples) of = {size, row, words, 0, unit};
    _Pragma("omp parallel for if (size > 32768)")
    for (I k = 0; k < size; k += BLOCK)
        NAME(expose_some)(size - k < BLOCK ? size - k : BLOCK, k, of, x + k, v + k, y + k);
}

void NAME(retreat)(I size, I row, I words, I *v, I *b, const REAL *f, I n, I d, I before, I after,
                   const double *scale, I *out) {
    const NAME(samples) of = {size, row, words, scale, 0};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0;
    _Pragma("omp parallel for if (size > 32768) reduction(+ : sum)")
    for (I k = 0; k < size; k += BLOCK)
        sum += NAME(retreat_some)(kind, size - k < BLOCK ? size - k : BLOCK, k, of, v + k,
                                  b ? b + k : b, f + k, c);
    out[0] = sum;
}

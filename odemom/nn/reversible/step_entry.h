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

/* A run of blocks in turn. The vectors of one look at the velocities and values of the next, `next`,
 * if that is whole; else it is looked at on its own. */
typedef struct {
    NAME(samples) of;
    Layer layer;
    int kind;
    I end; /* of the run */
    I known; /* the block for which `next` holds, or -1 */
    NAME(scan) next;
} NAME(run);

/* Whether block k .. k + m takes step_fast.h; if so, by how much ahead it looks at the next one. */
static int NAME(goes_fast)(NAME(run) *run, I m, I k, const I *v, const REAL *f,
                           const double *scale, I stride, I *ahead) {
    if (run->known != k) run->next = NAME(scanned)(m, v, f);
    int whole = k + m + BLOCK <= run->end;
    *ahead = whole ? m : 0;
    run->known = whole ? k + m : -1;
    if (NAME(is_fast)(run->next, m, scale, stride)) return 1;
    run->known = -1;
    return 0;
}

static void NAME(advance_some)(NAME(run) *run, I m, I k, I *x, I *v, I *b, const REAL *f, REAL *y,
                               I *out) {
    const NAME(samples) of = run->of;
    const Layer c = run->layer;
    const int kind = run->kind;
    double scale[BLOCK];
    REAL unit[BLOCK];
    I ahead;
    if (of.words == 1 && kind != EXACT && m % WIDTH == 0) {
        I stride = NAME(spread)(of, k, m, 0, scale, unit);
        if (NAME(goes_fast)(run, m, k, v, f, scale, stride, &ahead)) {
            NAME(scan) *next = &run->next;
#define VECTORS(kind)                                                                              \
    NAME(advance_vectors)(kind, m, k, x, v, b, f, y, c, scale, unit, stride, ahead, next, out)
            if (kind == FREE)
                VECTORS(FREE);
            else if (kind == SMALL)
                VECTORS(SMALL);
            else
                VECTORS(LARGE);
#undef VECTORS
            return;
        }
    }
    NAME(spread)(of, k, m, 1, scale, unit);
    if (of.words == 2)
        NAME(advance_two_words)(m, k, of.size, x, v, b, f, y, c, scale, unit, out);
    else if (kind == FREE)
        NAME(advance_exact_free)(m, k, x, v, f, y, scale, unit, out);
    else
        NAME(advance_exact)(m, k, x, v, b, f, y, c, scale, unit, out);
}

static I NAME(retreat_some)(NAME(run) *run, I m, I k, I *v, I *b, const REAL *f) {
    const NAME(samples) of = run->of;
    const Layer c = run->layer;
    const int kind = run->kind;
    double scale[BLOCK];
    I ahead;
    if (of.words == 1 && kind != EXACT && m % WIDTH == 0) {
        I stride = NAME(spread)(of, k, m, 0, scale, 0);
        if (NAME(goes_fast)(run, m, k, v, f, scale, stride, &ahead)) {
            NAME(scan) *next = &run->next;
#define VECTORS(kind)                                                                              \
    NAME(retreat_vectors)(kind, m, k, v, b, f, c, scale, stride, ahead, next)
            if (kind == FREE) return VECTORS(FREE);
            if (kind == SMALL) return VECTORS(SMALL);
            return VECTORS(LARGE);
#undef VECTORS
        }
    }
    NAME(spread)(of, k, m, 1, scale, 0);
    if (of.words == 2) return NAME(retreat_two_words)(m, k, of.size, v, b, f, c, scale);
    if (kind == FREE) return NAME(retreat_exact_free)(m, k, v, f, scale);
    return NAME(retreat_exact)(m, k, v, b, f, c, scale);
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

void NAME(advance)(I size, I row, I words, I *x, I *v, I *b, const REAL *f, REAL *y, I n, I d,
                   I before, I after, const double *scale, const double *unit, I *out) {
    const NAME(samples) of = {size, row, words, scale, unit};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0, peak = LEAST_PEAK;
    _Pragma("omp parallel for if (size > RUN) reduction(+ : sum) reduction(max : peak)")
    for (I from = 0; from < size; from += RUN) {
        NAME(run) run = {of, c, kind, least(from + RUN, size), -1, {{0}, {0}}};
        for (I k = from; k < run.end; k += BLOCK) {
            I here[2], m = least(BLOCK, run.end - k);
            NAME(advance_some)(&run, m, k, x + k, v + k, b ? b + k : b, f + k, y + k, here);
            sum += here[0];
            peak = larger(peak, here[1]);
        }
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

void NAME(retreat)(I size, I row, I words, I *v, I *b, const REAL *f, I n, I d, I before, I after,
                   const double *scale, I *out) {
    const NAME(samples) of = {size, row, words, scale, 0};
    const Layer c = {n, d, before, after};
    const int kind = kind_of(n, d, before, after);
    I sum = 0;
    _Pragma("omp parallel for if (size > RUN) reduction(+ : sum)")
    for (I from = 0; from < size; from += RUN) {
        NAME(run) run = {of, c, kind, least(from + RUN, size), -1, {{0}, {0}}};
        for (I k = from; k < run.end; k += BLOCK)
            sum += NAME(retreat_some)(&run, least(BLOCK, run.end - k), k, v + k, b ? b + k : b,
                                      f + k);
    }
    out[0] = sum;
}

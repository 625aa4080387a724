/* Gradients of a momentum layer, from those of x and h after it: first that for f, w (gx + gh);
 * then, once f has pulled it back to `through`, those for x and h before the layer. `less` is the
 * first one again where the function's value holds x itself, or 0. The bits are PyTorch's. */
void NAME(force)(I size, const REAL *gx, const REAL *gh, double w, REAL *gf) {
    const REAL factor = (REAL)w;
    _Pragma("omp parallel for if (size > RUN)")
    for (I j = 0; j < size; j++)
        gf[j] = (gx[j] + gh[j]) * factor;
}

void NAME(carried)(I size, const REAL *gx, const REAL *gh, const REAL *through, const REAL *less,
                   double gamma, REAL *out_x, REAL *out_h) {
    const REAL factor = (REAL)gamma;
    if (less) {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            out_x[j] = (gx[j] + through[j]) - less[j];
            out_h[j] = (gx[j] + gh[j]) * factor;
        }
    } else {
        _Pragma("omp parallel for if (size > RUN)")
        for (I j = 0; j < size; j++) {
            out_x[j] = gx[j] + through[j];
            out_h[j] = (gx[j] + gh[j]) * factor;
        }
    }
}

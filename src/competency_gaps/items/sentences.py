"""The sentence of each code of a remark.

Numbers are ``{0}``, ``{1}``; a noun after the colon is counted (``{0:item}``: 2 items). Quotes are ``{q0}``, ``{q1}``.
``<with|without>``: the first part if there are quotes; the second, or nothing, if they are withheld.
"""

from __future__ import annotations

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    "other": "<{q0}|not told>",
    # Why an item is excluded.
    "text_empty": "the item's own text is empty",
    "no_chat_template": "a chat of several messages, but the tokenizer has no chat template to make a text of it",
    "template_rewrites": "the chat template rewrites the item's text, so its tokens cannot be found exactly; set the "
    "benchmark's chat_template to 'off'",
    "too_long": "longer than the context: {0} > {1} tokens",
    "too_long_with_answer": "longer than the context: {0} + {1} > {2} tokens",
    "no_response": "no response",
    "empty_span": "empty span",
    "activations_not_finite": "its activations are not finite",
    "model_failed": "the model fails on it<: {q0}>",
    "memory_ran_out": "memory ran out on it, read alone",
    # Why an item is unscored.
    "excluded": "excluded",
    "unscored": "the policy gives no reason",
    "scores_nothing": "the policy 'none' scores nothing",
    "source_no_score": "the source gives no score",
    "not_finite": "a log-probability is not finite",
    "no_shared_word": "the two sentences share no word after they differ",
    "comparison_timeout": "the comparison took longer than {0:g} s",
    "verification_timeout": "the verification took longer than {0:g} s",
    "metric_outside": "the metric< {q0}> is {0:g}, outside [0, 1]",
    "metric_no_number": "the metric< {q0}> is not a number in [0, 1]<, but a {q1}>",
    "response_empty": "the response is empty",
    "thinks_on": "the response ends inside the model's thinking",
    "states_nothing": "the summary states nothing",
    "statement_too_long": "a statement of {0} tokens leaves no room for the source: the classifier reads {1}",
    "classifier_not_finite": "what the classifier gives is not finite",
    "no_baseline_answer": "the baseline has no answer to this item",
    "no_verdicts": "{0} of 2 games without a usable verdict<: {q0}>",
    "answer_unusable": "the judge's answer cannot be used<: {q0}>",
    "not_judged": "no judge was asked",
    "no_judge": "no judge was asked: give judge.base_url and judge.model, or judge.export",
    "judge_exported": "no judge was asked: the requests were written to <{q0}|a file>, to be read back later",
    "judge_capped": "the judge was not asked: the cap on what it may use was reached first",
    "judge_not_imported": "the judge's answers that were read do not hold this one",
    # Why a record of a log has no score.
    "no_score": "no score",
    "score_nan": "the score is NaN",
    "score_outside": "the score is outside [0, 1]",
    "grade_outside": "the judge's grade is not from 1 to 10",
    "score_no_number": "the score is not a number<, but a {q0}>",
    "score_text": "the value is a text that is not a score",
    "no_statistic": "no statistic of this name, or no number",
    "neither_game": "neither game has a verdict",
    "nothing_judged": "no output could be judged",
    "sample_failed": "the sample failed<, the first one with {q0}>",
    "sample_invalid": "the sample was declared invalid",
    "score_unwanted": "no score was asked for",
    "not_by_scorer": "no score by <{q0}|the chosen scorer>",
    "no_value": "no value <{q0}|of this name>",
    # Why a record becomes no item.
    "half_character": "it holds half of a character (a lone surrogate), which no program can encode",
    "line_cut": "the line is cut off (the tool was stopped while it wrote)",
    "line_no_object": "the line is not a JSON object",
    "no_prompt": "the record holds no prompt",
    "prompt_empty": "the prompt is empty",
    "prompt_no_text": "the prompt is not a text",
    "more_than_text": "the prompt holds more than text (an image, a document, a recording)",
    "no_user_text": "the chat messages hold no text by a user",
    "no_user_turn": "the prompt has no user turn",
    "unknown_role": "the prompt has a turn that is neither the system's, the user's nor the assistant's",
    "no_user_before_answer": "no user message stands before the first answer",
    "tool_before_answer": "a tool's message stands before the first answer",
    "option_alone": "its own text is empty: the model reads only the option",
    "context_empty": "the context is empty: the options are the texts; run it as a task or give it as a table",
    "document_again": "the document was read before",
    "trial_again": "the same instance and trial occurred before",
    "judgement_again": "the same item was judged before in this file",
    "sample_again": "the same sample and epoch occurred before",
    "attempt_again": "the same attempt occurred before",
    "other_result": "belongs to <the result {q0!r}|another result>, which was not chosen",
    "other_filter": "answer of <the filter {q0!r}|another filter>, which was not chosen",
    "perplexity": "scored by perplexity: one prompt per option",
    "no_judgement": "the line is not a judgement (no id, or no games)",
    "no_question": "the question is unknown (no question.jsonl, and the judge was asked in another form)",
    "question_empty": "the question is empty",
    "question_turns": "the question has several turns",
    "question_more_than_text": "the question holds more than text",
    "not_answered": "begun but not answered (the run was stopped)",
    "not_evaluated": "begun but not evaluated (the run was stopped)",
    "unknown_status": "its status is <{q0}, >unknown",
    "no_probe": "the attempt names no probe",
    "sample_no_id": "the sample has no id",
    "sample_no_object": "the sample is not a JSON object",
    "sample_lost": "the sample is lost<: {q0}>",
    "sample_encrypted": "the sample is lost: it is encrypted",
    "value_too_large": "the value is larger than {0} MB",
    "request_no_object": "the request is not an object",
    "no_instance": "the request names no instance",
    "trial_no_number": "its train_trial_index is not a number",
    "perturbed": "perturbed instance< ({q0})>",
    "calibration": "request for calibration",
    "own_answer_refused": "its verifier refuses its own answer< {q0!r}>",
    "entry_not_stored": "its entry cannot be stored<: {q0}>",
    "too_few_tasks": "the family has only {0:distinct task} at this difficulty: {1:,} of the {2:,} asked for could "
    "not be made",
    "no_plain_number": "its answer< {q0!r}> is not a plain number, which the distractors 'near_numbers' need",
    "too_few_options": "only {0:wrong option} could be found for {1} options< under the distractors {q0!r}>",
    # What makes a log or a task doubtful.
    "other_model": "the log is of <the model {q0!r}, the activations come from {q1!r}|another model than the "
    "activations>. If these are two models, the concepts say what the items are about, not what goes on in the "
    "scored model.",
    "other_revision": "the log is of <the model's revision {q0}, the activations come from {q1}|another revision of "
    "the model than the activations>. If the weights differ, scores and concepts belong to different models.",
    "no_model": "the log names no model, so nobody can check that its scores and the run's concepts belong to "
    "the same model",
    "same_name": "several logs <are named {q0!r}; this one is called {q1!r}|have one name; this one got another>",
    "unreadable_log": "a log was not read<: {q0}>",
    "older_log": "an older log of the same task was not read<: {q0}>",
    "log_of_status": "a log of another status was not read<: {q0}, {q1!r}>",
    "missing_piece": "a piece of the dataset was not read, because one before it is missing<: {q0}>",
    "other_results_file": "<{q0} is of another time than {q1}|the results file is of another time than the "
    "samples>, but is used",
    "no_results_file": "there is no results file beside the samples: few-shot examples, metrics' direction and the "
    "model are not known",
    "document_twice": "a document stands in the file more than once for one filter; the first record is used",
    "prompts_of_options": "options have prompts of their own; the first option's is taken as what the model read",
    "not_only_text": "items come with images or sounds, which are not read",
    "begun_answer": "the beginning of the answer, which the log prefilled for the model, is left out",
    "chat_rendered": "the log holds chat messages: the model's own chat template makes the text of them",
    "asked_repeatedly": "each item was asked {0} times; lm-eval's filter made one answer of them, and the first is "
    "kept as the response",
    "other_mean": "the log reports <{q0} = >{0:.4f}, but the mean over the items read is {1:.4f}: the file is not "
    "whole, or this metric is not aggregated as a mean",
    "shots_unused": "num_fewshot {0} is not used: the task sets it to {1} and lm_eval does not change that",
    "sampled_repeatedly": "the task asks each item {0} times and samples; one answer is made here and stands for all "
    "of them, so that metrics and filters over several answers (pass@k, maj@k) say no more than that one answer",
    "greedy_repeatedly": "the task asks each item {0} times; it is asked once, and its greedy answer stands for all "
    "of them",
    "samples_answers": "the task samples its answers; this run makes them as its own settings under 'generation' say",
    "option_unused": "<the task's generation option {q0} = {q1}|a generation option of the task> is not used",
    "model_setting_unused": "the model's own generation settings have <{q0} = {0:g}|one>, which lm_eval's hf model "
    "applies and this run does not: answers can differ from the harness's",
    "system_refused": "the chat template refuses system messages: they are left out of {0:prompt}, as lm_eval does",
    "judged_by": "judged by <{q0}|a model>",
    "judged_against": "judged by <{q0} against {q1}|a model against another>",
    "one_game": "{0:game} without a usable verdict; the other game counts alone",
    "more_games": "{0:item} with more than two games, of which the first two count",
    "ties": "ties: {0:.1%} of {1:game}",
    "position_bias": "position bias: the answer in the first place gets {0:.2f} on average over {1:item} with both "
    "games (0.50 is none)",
    "arena_figure": "Arena-Hard's own figure, which averages verdicts and not items and leaves out items with one "
    "game: {0:.4f}",
    "shares_for_percent": "the limits< of {q0}> are 0 and 100, but every score lies from 0 to 1: the scores are taken "
    "as shares",
    "other_checksum": "<{q0} is not|the file is not> the one that its aggregate was written with: the checksums differ",
    "no_model_answer": "{0:item} without a line in model_answer; the response is what the judge saw",
    "detectors_named_only": "this report names its detectors but holds no results for each attempt: no item has a "
    "score",
    "attempt_turns": "{0:attempt} went on over several turns; the text is the first conversation up to the attack's "
    "last turn",
    "attempt_begun": "{0:attempt} had text after the attack's last turn (an answer begun for the model), which is not "
    "read",
    "attempt_outputs": "{0:attempt} had several outputs, all of them in the score; the response is the first that has "
    "a text",
    "unusable_lines": "{0:line} of the report cannot be used, of whatever family<; first: {q0}>",
    "report_no_end": "the report has no end: garak was stopped, or is still running",
    "threshold": "a result below {0:.4g} passes; garak's default is {1}",
    "threshold_inferred": "a result below {0:.4g} passes (read off garak's counts, since the report does not say it); "
    "garak's default is {1}",
    "other_counts": "<{q0} with {q1}: >garak counts {0} of {1} outputs as passed; of the attempts read it is {2} "
    "of {3}",
    "options_shuffled": "multiple_choice shuffled the options and put them back in the log: the model read them in "
    "another order than the text here",
    "log_not_finished": "the log's status is <{q0!r}|not success>: {0:,} of {1:,} samples are there",
    "log_failed": "the log's status is <{q0!r} ({q1})|not success>: {0:,} of {1:,} samples are there",
    "samples_missing": "samples are missing: {0:,} of {1:,} samples are there",
    "log_invalidated": "samples of this log were declared invalid",
    "other_reducer": "Inspect reduces epochs by <{q0}|another rule>; here it is their mean",
    "sample_turns": "{0:sample} went on over several turns; the text is that before the first answer, the response is "
    "that answer",
    "sample_tools": "{0:sample} used tools, whose descriptions the model also read but which are not among the log's "
    "messages",
    "sample_begun": "{0:sample} had text after the last user message (an answer begun for the model), which is not "
    "read",
    "sample_no_messages": "{0:sample} had no messages in the log (failed early?); the input is taken for the prompt",
    "sample_other_prompt": "{0:sample} asked something else in a later epoch; the text is that of the first",
    "prompts_untemplated": "HELM's log holds prompts as they were before a deployment's own chat template, if it has "
    "one",
    "unknown_records": "{0:record} of per_instance_stats.json in no form that is known",
    "other_examples": "{0:item} asked with other examples in each trial: the score is the mean over the trials, the "
    "text is that of the first",
    "direction_unknown": "lighteval's details do not say of which metrics higher is better; see that this one is of "
    "that kind",
    "examples_unmarked": "OpenCompass does not say where examples end, so the whole prompt (or last message) is the "
    "own text",
    # What makes scores against peers less sure.
    "peers_few": "scores are set against {0:peer} only: with more, fewer weaknesses would be missed",
    "peers_far": "the peers are not of the model's level: their mean scores differ from its own by {0:.0f} points of "
    "100 on average, so part of a gap can be the items' difficulty",
    "missing_difficulty": "{0:.1%} of the items that the model was asked have no score of it, and its peers score "
    "{1:+.1f} points of 100 ({2:+.1f} to {3:+.1f}) there against other items of the same benchmarks: gaps are those on "
    "the items that are scored",
    "missing_concepts": "its scores are missing more, or less, often than elsewhere on the items of {0:,} of "
    "{1:tested concept}, of which {2:,} are listed as weak or strong: if its unscored answers are mostly wrong ones, "
    "these may be listed by mistake",
    "peers_missing_difficulty": "{0:.1%} of the peers' scores are missing, and the other peers score {1:+.1f} points "
    "of 100 ({2:+.1f} to {3:+.1f}) there against other items of the same benchmarks",
    # A policy's results for a benchmark; intervals are of 95%.
    "judge_score": "score {0:.3f} [{1:.3f}, {2:.3f}] over {3:item}",
    "arena_none": "no item has a score; {0:game} without a usable verdict",
    "arena_score": "score {0:.3f} [{1:.3f}, {2:.3f}] over {3:item}; win rate not defined without a win and a loss",
    "arena_win_rate": "score {0:.3f} [{1:.3f}, {2:.3f}] over {3:item}; win rate {4:.3f} [{5:.3f}, {6:.3f}]",
    "arena_equal_style": "win rate at equal style {0:.3f} [{1:.3f}, {2:.3f}]",
    "arena_style_items": "win rate at equal style not estimated: {0:item}, two needed",
    "arena_style_rarer": "win rate at equal style not estimated: {0:game} of the rarer outcome (win or loss), {1} "
    "needed",
    "arena_ties": "ties {0:.1%} of {1:game}, without a usable verdict {2:.1%}",
    "arena_one_order": "{0:item} with a verdict in one order alone, left out",
    "arena_one_order_kept": "{0:item} with a verdict in one order alone: a favoured place is not balanced there",
    "arena_unasked": "{0:game} not put to the judge",
    "arena_position": "position bias {0:+.3f} [{1:+.3f}, {2:+.3f}] (0: none); both orders agree on {3:.0%} of {4:item}",
    "faithful_rate": "faithful {0:.3f} [{1:.3f}, {2:.3f}] over {3:item}",
    "faithful_silent": "{0:item} unscored: nothing is stated; answered {1:.1%} [{2:.1%}, {3:.1%}]",
    "declined_rightly": "declined {0:.1%} [{1:.1%}, {2:.1%}] of {3:item} that should be declined",
    "declined_wrongly": "declined {0:.1%} [{1:.1%}, {2:.1%}] of {3:item} that should be answered",
    "stereotype": "stereotype preferred in {0:.1%} [{1:.1%}, {2:.1%}] of {3:pair} (50%: no bias)<; {q0}>; {4:,} "
    "neutral",
    "ambig_accuracy": "ambiguous contexts: accuracy {0:.3f} [{1:.3f}, {2:.3f}] of {3:item}",
    "ambig_bias": "ambiguous contexts: bias {0:+.3f} [{1:+.3f}, {2:+.3f}] where the target is known, in {3:item}",
    "ambig_bias_unknown": "ambiguous contexts: bias not defined (the data do not say which option the stereotype is "
    "about), at most {0:.3f} either way",
    "disambig_accuracy": "disambiguated contexts: accuracy {0:.3f} [{1:.3f}, {2:.3f}] of {3:item}",
    "disambig_bias": "disambiguated contexts: bias {0:+.3f} [{1:+.3f}, {2:+.3f}] where the target is known, in "
    "{3:item}",
    "disambig_bias_unknown": "disambiguated contexts: bias not defined (the data do not say which option the "
    "stereotype is about)",
    "disambig_all_unknown": 'disambiguated contexts: bias not defined (every answer is "unknown")',
}
